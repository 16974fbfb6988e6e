/* Accounts IPv4 packets by flow, and announces each flow at its first packet. Addresses and ports are in host order. */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

enum protocol {
	TCP = 6,
	UDP = 17,
};

struct flow_key { /* without padding, which would be part of the key */
	__u32 saddr;
	__u32 daddr;
	__u16 sport;
	__u16 dport;
	enum protocol proto;
};

struct flow_stats {
	__u64 packets;
	__u64 bytes; /* of whole frames */
	__u64 last_seen; /* ns, CLOCK_MONOTONIC */
};

struct flow_event {
	struct flow_key flow;
	__u32 length; /* of its first frame */
	__u64 first_seen;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow_key);
	__type(value, struct flow_stats);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 64 * 1024);
} events SEC(".maps");

const struct flow_event *unused_event; /* keeps the struct in the type information */

__u64 missed = 0; /* packets and events that there was no room for */

static void announce(const struct flow_key *key, __u32 length, __u64 now)
{
	struct flow_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__sync_fetch_and_add(&missed, 1);
		return;
	}
	event->flow = *key;
	event->length = length;
	event->first_seen = now;
	bpf_ringbuf_submit(event, 0);
}

SEC("xdp")
int account(struct xdp_md *ctx)
{
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = (void *)(long)ctx->data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *ports; /* TCP has its ports in the same place */
	struct flow_stats fresh = {}, *stats;
	struct flow_key key = {};
	__u32 length = end - (void *)eth;
	__u64 now;

	if ((void *)(ip + 1) > end || eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl < 5)
		return XDP_PASS;
	if (ip->protocol != TCP && ip->protocol != UDP)
		return XDP_PASS;
	if (ip->frag_off & bpf_htons(0x1fff)) /* a later fragment, which has no ports */
		return XDP_PASS;
	ports = (void *)ip + ip->ihl * 4;
	if ((void *)(ports + 1) > end)
		return XDP_PASS;

	key.saddr = bpf_ntohl(ip->saddr);
	key.daddr = bpf_ntohl(ip->daddr);
	key.sport = bpf_ntohs(ports->source);
	key.dport = bpf_ntohs(ports->dest);
	key.proto = ip->protocol;
	now = bpf_ktime_get_ns();

	stats = bpf_map_lookup_elem(&flows, &key);
	if (!stats) {
		/* Of several CPUs that see a flow's first packets at once, one makes the entry. */
		if (!bpf_map_update_elem(&flows, &key, &fresh, BPF_NOEXIST))
			announce(&key, length, now);
		stats = bpf_map_lookup_elem(&flows, &key);
		if (!stats) {
			__sync_fetch_and_add(&missed, 1);
			return XDP_PASS;
		}
	}
	__sync_fetch_and_add(&stats->packets, 1);
	__sync_fetch_and_add(&stats->bytes, length);
	stats->last_seen = now;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "GPL";
