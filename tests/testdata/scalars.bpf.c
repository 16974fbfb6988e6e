/* One global variable of every kind of type, in .data, .bss and .rodata (names with ro_).
 * `bump` changes each writable one in a fixed way; `sum` returns a number made of the values.
 */
#include <linux/types.h>
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

enum mode { MODE_OFF = 0, MODE_ON = 1, MODE_AUTO = 7 };
enum level { LEVEL_LOW = -3, LEVEL_ZERO = 0, LEVEL_HIGH = 3 };
enum tiny { TINY_A = 1, TINY_B = 2 } __attribute__((packed));

struct stats {
	__u64 packets;
	__u64 bytes;
	__u32 drops;
	__u8 mode; /* 3 bytes of padding follow */
};

struct point {
	__s32 x;
	__s32 y;
};

union number {
	__u64 whole;
	__u32 half[2];
	double real;
};

struct nested {
	__u16 id;
	struct point at[2];
	union number as;
	union {
		__u32 word;
		__u8 octets[4];
	};
	enum mode mode;
	bool ready;
};

struct bits {
	__u32 a : 3;
	__u32 b : 5;
	__s32 c : 7;
	__u64 d : 40;
	__u32 full;
};

struct wire {
	__u8 kind;
	__u32 seq;
	__u16 len;
} __attribute__((packed));

struct opaque;

typedef __u32 id32;
typedef volatile id32 volatile_id;
typedef volatile_id session_id;
typedef const session_id const_session_id;

/* .data */
__u8 u8_var = 200;
__u16 u16_var = 0xBEEF;
__u32 u32_var = 0xDEADBEEF;
__u64 u64_var = 0x0123456789ABCDEF;
__s8 s8_var = -100;
__s16 s16_var = -12345;
__s32 s32_var = -1234567890;
__s64 s64_var = -1234567890123456789;
unsigned __int128 u128_var = ((unsigned __int128)0x0011223344556677 << 64) | 0xFFFFFFFFFFFFFFFF;
__int128 s128_var = -((__int128)1 << 100) - 5;
bool bool_var = true;
float float_var = 3.25f;
double double_var = 2.718281828459045;
char char_var = 'x';
enum mode mode_var = MODE_AUTO;
enum level level_var = LEVEL_LOW;
enum tiny tiny_var = TINY_A;
char msg[] = "Hello World!";
unsigned char mac[6] = { 0x02, 0x42, 0xAC, 0x11, 0x00, 0x01 };
__u32 arr[4] = { 1, 2, 3, 4 };
__u64 matrix[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } };
bool flags[3] = { true, false, true };
struct stats stats = { .packets = 11, .bytes = 2222, .drops = 33, .mode = 4 };
struct nested nested = {
	.id = 513,
	.at = { { 1, -2 }, { 3, -4 } },
	.as = { .whole = 0x1111111122222222 },
	.word = 0x04030201,
	.mode = MODE_ON,
	.ready = true,
};
union number number = { .half = { 7, 9 } };
struct bits bits = { .a = 5, .b = 17, .c = -30, .d = 0x123456789A, .full = 0xCAFE };
struct wire wire = { .kind = 1, .seq = 0x01020304, .len = 500 };
void *ptr_var = (void *)0x1122334455667788;
session_id chained_var = 77;
__u32 tagged_var __attribute__((btf_decl_tag("counter"))) = 5;

/* .bss */
__u8 u8_zero;
__u32 u32_zero;
__u64 u64_zero;
__s64 s64_zero;
bool bool_zero;
float float_copy;
double double_copy;
char msg_zero[16];
__u32 arr_zero[4];
struct stats stats_zero;
struct opaque *opaque_ptr;
int (*function_ptr)(int);
__u8 *restrict restrict_ptr;
__u32 __attribute__((btf_type_tag("mine"))) * tagged_ptr;

/* .rodata */
const volatile __u8 ro_u8 = 250;
const volatile __u16 ro_u16 = 60000;
const volatile __u32 ro_u32 = 4000000;
const volatile __u64 ro_u64 = 5000000000;
const volatile __s8 ro_s8 = -8;
const volatile __s16 ro_s16 = -1600;
const volatile __s32 ro_s32 = -320000;
const volatile __s64 ro_s64 = -6400000000;
const volatile unsigned __int128 ro_u128 = ((unsigned __int128)1 << 64) + 2;
const volatile bool ro_bool = true;
const volatile float ro_float = 0.5f;
const volatile double ro_double = 1e100;
const volatile char ro_char = 'q';
const volatile enum mode ro_mode = MODE_AUTO;
const volatile enum level ro_level = LEVEL_LOW;
const volatile char ro_msg[] = "read only";
const volatile char ro_name[16] = "eth0";
const volatile unsigned char ro_mac[6] = { 1, 2, 3, 4, 5, 6 };
const volatile __u32 ro_arr[4] = { 10, 20, 30, 40 };
const volatile __u64 ro_matrix[2][3] = { { 100, 200, 300 }, { 400, 500, 600 } };
const volatile struct stats ro_stats = { .packets = 1, .bytes = 2, .drops = 3, .mode = 4 };
const volatile union number ro_number = { .whole = 123 };
const volatile struct bits ro_bits = { .a = 1, .b = 2, .c = -3, .d = 4, .full = 5 };
const_session_id ro_chained = 88;
const volatile __u32 ro_zero = 0;

/* sections of their own */
__u32 custom_var SEC(".data.custom") = 1001;
const volatile __u32 ro_custom SEC(".rodata.custom") = 2002;
const volatile __u32 not_ro SEC(".data.fake") = 3003; /* const, and writable all the same */

SEC("syscall")
int bump(void *ctx)
{
	int i, j;

	u8_var += 1;
	u16_var += 1;
	u32_var += 1;
	u64_var += 1;
	u128_var += 1;
	s8_var = -s8_var;
	s16_var = -s16_var;
	s32_var = -s32_var;
	s64_var = -s64_var;
	s128_var = -s128_var;
	bool_var = !bool_var;
	char_var += 1;
	mode_var = MODE_ON;
	level_var = -level_var;
	tiny_var = TINY_B;
	msg[0] = 'J';
	mac[5] ^= 0xFF;
	for (i = 0; i < 4; i++)
		arr[i] = i * 10 + ro_u32;
	for (i = 0; i < 2; i++)
		for (j = 0; j < 3; j++)
			matrix[i][j] *= 2;
	for (i = 0; i < 3; i++)
		flags[i] = !flags[i];
	stats.packets += ro_u64;
	stats.bytes += ro_stats.bytes;
	stats.drops += 1;
	stats.mode += 1;
	nested.id += 1;
	nested.at[1].x = -nested.at[1].x;
	nested.as.half[0] = 0xAAAAAAAA;
	nested.octets[3] = 0xFF;
	nested.mode = MODE_OFF;
	nested.ready = !nested.ready;
	number.whole += 1;
	bits.a += 1;
	bits.b = 31;
	bits.c = -bits.c;
	bits.d += 1;
	wire.seq += 1;
	ptr_var += 8;
	chained_var += 1;
	tagged_var += 1;

	u8_zero += 1;
	u32_zero += 1;
	u64_zero += 1;
	s64_zero -= 1;
	bool_zero = !bool_zero;
	__builtin_memcpy(&float_copy, &float_var, sizeof(float_copy));
	__builtin_memcpy(&double_copy, &double_var, sizeof(double_copy));
	msg_zero[0] = ro_char;
	arr_zero[3] += ro_arr[3];
	stats_zero.packets += 1;

	custom_var += 1;
	return 0;
}

/* The sum, modulo 2**32, of every integer named here. */
SEC("syscall")
int sum(void *ctx)
{
	__u32 total = 0;

	total += ro_u8 + ro_u16 + ro_u32 + (__u32)ro_u64;
	total += ro_s8 + ro_s16 + ro_s32 + (__u32)ro_s64;
	total += (__u32)ro_u128;
	total += ro_bool + ro_char + ro_mode + ro_level;
	total += ro_msg[0] + ro_name[0] + ro_mac[5] + ro_arr[2] + ro_matrix[1][2];
	total += ro_stats.drops + (__u32)ro_number.whole + ro_bits.c + ro_chained + ro_zero;
	total += ro_custom + not_ro;
	total += u8_var + u32_var + s32_var + arr[1] + custom_var + u32_zero;
	return total;
}
