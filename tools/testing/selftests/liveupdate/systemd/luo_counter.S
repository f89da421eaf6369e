/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A boot sector for a virtual machine that is to outlive its host's kernel. About once a
 * second it adds one to a number, writes it to the first serial port in hexadecimal, a line
 * each, shows it at COUNTER, and writes the sector with it to its disk, at 1 + number % 64.
 * If a step is missing or twice, a line is.
 */
	.code16
	.set	COUNTER, 0x8000
	.set	PORT, 0x3f8
	.set	TICKS, 18

	.globl	_start
_start:
	ljmp	$0, $begin
begin:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	movw	%ax, %ss
	movw	$0x7c00, %sp
	movb	%dl, drive
	movl	$0, COUNTER
	movl	$0x216f756c, COUNTER + 4	/* "luo!" */
	sti

again:
	incl	COUNTER
	movl	COUNTER, %ebx
	movw	$8, %cx
digit:
	roll	$4, %ebx
	movb	%bl, %al
	andb	$15, %al
	addb	$'0', %al
	cmpb	$'9', %al
	jbe	1f
	addb	$'a' - '9' - 1, %al
1:	call	put
	loop	digit
	movb	$'\n', %al
	call	put

	movl	COUNTER, %eax
	andl	$63, %eax
	incl	%eax
	movl	%eax, sector
	movw	$0x4300, %ax
	movb	drive, %dl
	movw	$packet, %si
	int	$0x13

	movw	$TICKS, %cx
tick:
	hlt
	loop	tick
	jmp	again

put:
	movb	%al, %ah
	movw	$PORT + 5, %dx
1:	inb	%dx, %al
	testb	$0x20, %al
	jz	1b
	movb	%ah, %al
	movw	$PORT, %dx
	outb	%al, %dx
	ret

drive:
	.byte	0
	.balign	4
/* Of the BIOS's "extended write": one sector from COUNTER. */
packet:
	.byte	16, 0
	.word	1
	.word	COUNTER, 0
sector:
	.long	0, 0

	.org	510
	.word	0xaa55
