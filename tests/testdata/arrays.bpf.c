/* Variables of a page and more. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u8 page[4096];                                            /* .bss, exactly a page */
__u64 large[3000] = { [0] = 1, [1] = 2, [2999] = 3000 };    /* .data, 24000 bytes */
const volatile __u8 ro_page[8192] = { [0] = 17, [8191] = 90 }; /* .rodata, two pages */

/* Writes the first and the last element of `page` and `large`; returns the last byte of ro_page. */
SEC("syscall")
int edges(void *ctx)
{
	page[0] = 1;
	page[4095] = 255;
	large[0] += 1000;
	large[2999] += 1000;
	return ro_page[8191];
}
