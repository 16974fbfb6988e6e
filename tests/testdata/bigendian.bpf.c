/* Compiled for big-endian BPF: everything in the file is in the other byte order. */
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum mode { MODE_OFF = 0, MODE_ON = 1, MODE_AUTO = 7 };

struct stats {
	__u64 packets;
	__u32 drops;
	__u16 port;
};

struct bits {
	__u32 a : 3;
	__u32 b : 5;
	__s32 c : 7;
	__u64 d : 40;
};

__u16 u16_var = 0x1234;
__u32 u32_var = 0x12345678;
__u64 u64_var = 0x0123456789ABCDEF;
__s32 s32_var = -2;
double double_var = 1.5;
enum mode mode_var = MODE_AUTO;
char msg[] = "big";
struct stats stats = { .packets = 1, .drops = 2, .port = 443 };
struct bits bits = { .a = 5, .b = 17, .c = -30, .d = 0x123456789A };
__u64 zero_var;
const volatile __u32 ro_u32 = 0xCAFEBABE;
const volatile bool ro_bool = true;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct stats);
	__uint(max_entries, 16);
} flows SEC(".maps");

SEC("xdp")
int swap(struct xdp_md *ctx)
{
	__u32 key = ro_u32;

	zero_var += ro_bool + u32_var;
	return bpf_map_lookup_elem(&flows, &key) ? XDP_PASS : XDP_DROP;
}
