/* Kinds of maps that have no class of their own, for Map[K, V]; no program needs to run to use them. */
#include <linux/types.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

struct stats {
	__u64 packets;
	__u64 bytes;
};

#define STORAGE(name, kind)                     \
	struct {                                \
		__uint(type, kind);             \
		__uint(map_flags, BPF_F_NO_PREALLOC); \
		__type(key, int);               \
		__type(value, struct stats);    \
	} name SEC(".maps")

STORAGE(of_sockets, BPF_MAP_TYPE_SK_STORAGE);
STORAGE(of_inodes, BPF_MAP_TYPE_INODE_STORAGE);
STORAGE(of_tasks, BPF_MAP_TYPE_TASK_STORAGE);
/* The headers of the oldest supported libbpf do not know it yet. */
STORAGE(of_cgroups, 32);

struct {
	__uint(type, BPF_MAP_TYPE_SOCKMAP);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 4);
} socket_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} devices SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} device_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 2);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 4);
} packet_sockets SEC(".maps");

/* An arena, which the headers do not know either: pages that programs and processes share. */
struct {
	__uint(type, 33);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4);
} arena SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 2);
} groups SEC(".maps");
