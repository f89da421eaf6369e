#!/usr/bin/perl
# SPDX-License-Identifier: GPL-2.0-only
#
# report.pl LOG: tell a person what happened in the test "handover", from the
# log that vmtest.sh has left.

use strict;
use warnings;

my (%kernel, %ram, %image, %scratch, %preserved, %kind, %when);
my ($rebooted, $booted, $items, $bad) = (0, 0, 0, 0);
my $page = 4096;

sub span {
	my ($start, $end) = $_[0] =~ /^(?:0x)?([0-9a-f]+)-(?:0x)?([0-9a-f]+)/
		or die "not a range: $_[0]\n";
	return [hex $start, hex($end) + 1];
}

while (<>) {
	my ($time, $line) = /^([0-9.]+) khotest: (.*)/ or next;

	$rebooted = $time if $line eq 'reboot';
	$booted = $time if $rebooted && !$booted && $line =~ /^init /;

	my ($stage, $what, $data) = $line =~ /^data (\d) (\w+) (.*)/ or next;
	if ($what eq 'kernel') {
		$kernel{$stage} = $data;
	} elsif ($what eq 'iomem') {
		my $ranges = $data =~ /RAM/ ? \%ram : \%image;
		push @{$ranges->{$stage}}, span($data);
	} elsif ($what eq 'scratch') {
		push @{$scratch{$stage}}, span($data);
	} elsif ($what eq 'preserved') {
		push @{$preserved{$stage}}, span($data);
	} elsif ($data =~ /^(\w+) order (\d+) pages (\d+) .* (\w+)$/) {
		$items++;
		$bad++ if $4 ne 'ok';
		$kind{$1}{items}++;
		$kind{$1}{pages} += $3;
		$kind{$1}{orders}{$2} = 1;
		$kind{$1}{bad} += $4 ne 'ok';
	}
}

die "report.pl: the log does not show a handover\n"
	unless $kernel{2} && $items && $booted;

sub mib { return sprintf '%.1f', $_[0] / (1 << 20) }

sub total {
	my $sum = 0;
	$sum += $_->[1] - $_->[0] for @_;
	return $sum;
}

# Each cell shows the first of these that touches it.
my $cell = 4 << 20;
my $width = 64;

sub draw {
	my ($stage) = @_;
	my @layers = (['#', $preserved{$stage}], ['K', $image{$stage}],
		      ['s', $scratch{$stage}], ['.', $ram{$stage}]);
	my %map;

	for my $layer (reverse @layers) {
		for my $range (@{$layer->[1]}) {
			$map{$_} = $layer->[0]
				for int($range->[0] / $cell) .. int(($range->[1] - 1) / $cell);
		}
	}

	my $last = (sort { $b <=> $a } keys %map)[0];
	for (my $row = 0; $row <= $last; $row += $width) {
		my $text = join '', map { $map{$_} // ' ' } $row .. $row + $width - 1;
		next if $text =~ /^ *$/;
		printf "  %6d MiB  |%s|\n", $row * $cell >> 20, $text;
	}
}

print "\nMemory was handed over from one kernel to the next.\n\n";
printf "  from  Linux %s\n", $kernel{1};
printf "  to    Linux %s\n", $kernel{2};
printf "  %.2f s from the reboot to init, in this QEMU\n\n", $booted - $rebooted;

printf "  %-12s %6s %10s  %-16s %s\n", qw(preserved items MiB orders checksums);
my $pages = 0;
for my $name (sort keys %kind) {
	my $k = $kind{$name};
	my @orders = sort { $a <=> $b } keys %{$k->{orders}};
	$pages += $k->{pages};
	printf "  %-12s %6d %10s  %-16s %s\n", $name, $k->{items},
		mib($k->{pages} * $page),
		@orders > 1 ? "$orders[0] to $orders[-1]" : $orders[0],
		$k->{bad} ? "$k->{bad} WRONG" : 'all right';
}
printf "  %-12s %6d %10s  %-16s %s\n", 'together', $items, mib($pages * $page), '',
	$bad ? "$bad WRONG" : 'all right';
printf "  preserved in all, with what describes it: %s MiB\n\n",
	mib(total(@{$preserved{1}}));

printf "Physical memory, %d MiB a character: # preserved, s scratch (%s MiB),\nK kernel, . other RAM\n",
	$cell >> 20, mib(total(@{$scratch{1}}));
print "\n  before, in the first kernel\n\n";
draw(1);
print "\n  after, in the second kernel, before anything is restored\n\n";
draw(2);
print "\n";

exit($bad ? 1 : 0);
