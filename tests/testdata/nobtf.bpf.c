/* Compiled without -g: no BTF, so a variable is a name, a section, an offset and a size. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

__u64 packets;
__u32 limit = 10;
char msg[] = "Hello World!";
static volatile __u32 hits = 3;
const volatile __u16 ro_port = 8080;

/* XDP_PASS for the first `limit` packets, XDP_DROP afterwards; XDP_ABORTED if ro_port is 0. */
SEC("xdp")
int limited(struct xdp_md *ctx)
{
	hits++;
	packets++;
	msg[0] = 'J';
	if (!ro_port)
		return XDP_ABORTED;
	return packets <= limit ? XDP_PASS : XDP_DROP;
}
