#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# docs-messages.pl PAGE FILE...
#
# Print the messages in FILEs that PAGE does not explain, and those that it
# explains but are not there. On the page a message is a line of its own between
# two pairs of backquotes, with a word in capitals for each conversion of printk.
# Of patches, only the lines that they add count.

use strict;
use warnings;

my $page = shift;
my $conversion = qr/%(?:[\d*]*p\w*|[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh?|ll?|z)?[diouxXcs])/;

# All formats in a file: the first string of each call, which may be in pieces.
sub formats {
	my ($file) = @_;
	open my $fh, '<', $file or die "$file: $!\n";
	my @lines = <$fh>;
	@lines = map { /^\+(?!\+\+)(.*)/s ? $1 : () } @lines if $file =~ /\.patch$/;

	my @formats;
	my $text = join '', @lines;
	while ($text =~ /\b(?:pr_(?:emerg|alert|crit|err|warn|notice|info|debug)(?:_once|_ratelimited)?
			|WARN(?:_ONCE)?|panic)\s*\(([^;]*?)((?:"(?:[^"\\]|\\.)*"\s*)+)/gx) {
		my $format = join '', $2 =~ /"((?:[^"\\]|\\.)*)"/g;
		$format =~ s/\\n$//;
		$format =~ s/^(?:kho|luo): //;
		push @formats, $format;
	}
	return @formats;
}

open my $fh, '<', $page or die "$page: $!\n";
my @explained;
my $in_messages;
while (<$fh>) {
	$in_messages = 1 if /^Messages$/;
	push @explained, $1 if $in_messages && /^``(.*)``$/;
}
die "$page explains no messages\n" unless @explained;

my (%known, $found);
for my $file (@ARGV) {
	for my $format (formats($file)) {
		my $pattern = join '[A-Z]+', map { s/%%/%/gr } map { quotemeta =~ s/\\%/%/gr }
			split /$conversion/, $format =~ s/%%/\0/gr, -1;
		$pattern =~ s/\\?\0/%/g;
		my @matches = grep { /^$pattern$/ } @explained;
		$known{$_} = 1 for @matches;
		$found++;
		print "$file: not explained: $format\n" unless @matches;
	}
}
die "no messages found\n" unless $found;

print "$page: not in the source: $_\n" for grep { !$known{$_} } @explained;
