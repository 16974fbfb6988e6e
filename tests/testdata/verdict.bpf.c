/* A program whose verification depends on a constant: it loads only if `mode` was set to 42 before. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 mode = 0;

SEC("xdp")
int guarded(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if (mode == 42)
		return XDP_PASS;
	return data[100] ? XDP_DROP : XDP_TX; /* invalid; dead code when mode is known to be 42 */
}
