# SPDX-License-Identifier: GPL-2.0-only
#
# Completion of luoctl for bash. It asks luoctl for its commands and their options, so
# that it knows what the installed version knows.
# shellcheck shell=bash

# _luoctl_sessions COMMAND SIDE: names of sessions, a line each. Those with characters that
# luoctl escapes are left out: they would not be found by what is printed.
_luoctl_sessions()
{
	"$1" list 2> /dev/null | sed -n "s/^$2: session \(.*\): [0-9]* files\{0,1\}, .*/\1/p" |
		grep -v "\\\\"
}

# _luoctl_regions COMMAND: names of regions of reserve_mem= that can be discarded
_luoctl_regions()
{
	"$1" unclaimed 2> /dev/null | sed -n "s/^  reserve_mem \(.*\): [0-9].*/\1/p" | grep -v "\\\\"
}

# _luoctl_kept COMMAND: names of what the keeper keeps
_luoctl_kept()
{
	"$1" list --kept 2> /dev/null | sed 's/: .*//' | sort -u
}

# _luoctl_kept_fds COMMAND NAME: what its files are called
_luoctl_kept_fds()
{
	"$1" list --kept "$2" 2> /dev/null | sed -n 's/^[^:]*: \([^,]*\), .*/\1/p' | sort -u
}

# _luoctl_words CURRENT: those lines of standard input that begin with it
_luoctl_words()
{
	local line
	while IFS= read -r line; do
		[[ $line != "$1"* ]] || COMPREPLY+=("$(printf '%q' "$line")")
	done
}

_luoctl()
{
	local command=$1 current=$2 previous=$3
	local verb="" first="" nr=0 i

	COMPREPLY=()
	# The verb, and how many arguments follow it, without those of options.
	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		--initrd | --command-line | --memfd | --uid | --limit | --memory | --memory-of-all)
			((i++)) ;;
		--)
			# A command follows, with its own arguments.
			[ "$verb" != run ] || {
				compopt -o default
				return
			}
			;;
		-*) ;;
		*)
			if [ -z "$verb" ]; then
				verb=${COMP_WORDS[i]}
			else
				first=${first:-${COMP_WORDS[i]}}
				((nr++))
			fi
			;;
		esac
	done

	case $previous in
	--initrd) compopt -o default; return ;;
	--command-line | --memfd | --uid | --limit | --memory | --memory-of-all) return ;;
	esac

	if [[ $current == -* ]]; then
		_luoctl_words "$current" < <({
			echo --help
			echo --json
			[ -n "$verb" ] || echo --version
			# shellcheck disable=SC2086 # nothing if there is no verb
			"$command" $verb --help 2> /dev/null | grep -o '^  --[a-z-]*' | tr -d ' '
		} | sort -u)
		return
	fi

	case " ${COMP_WORDS[*]:0:COMP_CWORD} " in
	*" --kept "*) nr=kept$((nr ? 1 : 0)) ;;
	esac
	case $verb:$nr in
	run:0 | put:0 | list:kept0 | drop:kept0) _luoctl_words "$current" < <(_luoctl_kept "$command") ;;
	drop:kept1) _luoctl_words "$current" < <(_luoctl_kept_fds "$command" "$first") ;;
	:0) _luoctl_words "$current" < <("$command" --help 2> /dev/null |
		sed -n 's/^  luoctl \([a-z]*\)\( .*\)\{0,1\}$/\1/p') ;;
	list:0) _luoctl_words "$current" < <(_luoctl_sessions "$command" '[a-z]*' | sort -u) ;;
	drop:0 | restore:0) _luoctl_words "$current" < <(_luoctl_sessions "$command" incoming) ;;
	restore:1) compopt -o dirnames ;;
	unclaimed:0)
		[[ " ${COMP_WORDS[*]:0:COMP_CWORD} " != *" --discard "* ]] ||
			_luoctl_words "$current" < <(_luoctl_regions "$command")
		;;
	save:0) ;;
	save:* | check:0 | kexec:0) compopt -o default ;;
	esac
}

complete -F _luoctl luoctl kho-luoctl
