typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned __u32; typedef unsigned long long __u64;
typedef short __s16; typedef int __s32; typedef long long __s64;
#define SEC(name) __attribute__((section(name), used))
#define HIDE(x) asm volatile("" : "+r"(x)) /* or each access would load the address of its variable anew */
#define PLACE(V, k, p) PLACE_##k(V, p)
#define ONES(V, k, p) ONES_##k(V, p)
#define READ(V, k, p) READ_##k(V, p)
#define WRITE(V, k, p) WRITE_##k(V, p)
#define LAYOUT(i) sizeof(v##i), _Alignof(__typeof__(v##i)), L##i(PLACE, v##i)
#define RUN(i) { __typeof__(v##i) *v = &v##i; int first = n; HIDE(v); L##i(READ, v##i) n = first; L##i(WRITE, v##i) }
#define PLACE_S(V, p) __builtin_offsetof(__typeof__(V), p), sizeof(V.p),
#define PLACE_I PLACE_S
#define PLACE_P PLACE_S
#define PLACE_B PLACE_S
#define PLACE_F PLACE_S
#define PLACE_D PLACE_S
#define PLACE_Q PLACE_S
#define PLACE_i PLACE_S
#define PLACE_p PLACE_S
#define PLACE_b PLACE_S
#define PLACE_f PLACE_S
#define PLACE_d PLACE_S
#define PLACE_q PLACE_S
#define PLACE_Z(V, p) __builtin_offsetof(__typeof__(V), p), 0,
#define PLACE_N(V, p)
#define PLACE_n PLACE_N
#define ONES_N(V, p) { .p = -1 },
#define ONES_n ONES_N
#define ONES_S(V, p)
#define ONES_Z ONES_S
#define ONES_I ONES_S
#define ONES_P ONES_S
#define ONES_B ONES_S
#define ONES_F ONES_S
#define ONES_D ONES_S
#define ONES_Q ONES_S
#define ONES_i ONES_S
#define ONES_p ONES_S
#define ONES_b ONES_S
#define ONES_f ONES_S
#define ONES_d ONES_S
#define ONES_q ONES_S
#define READ_I(V, p) s[n++] = (__u64)v->p;
#define READ_P READ_I
#define READ_N READ_I
#define READ_i READ_I
#define READ_p READ_I
#define READ_n READ_I
#define READ_B(V, p) s[n++] = *(volatile __u8 *)&v->p;
#define READ_b READ_B
#define READ_F(V, p) { __u32 x; __builtin_memcpy(&x, (void *)&v->p, 4); s[n++] = x; }
#define READ_f READ_F
#define READ_D(V, p) { __u64 x; __builtin_memcpy(&x, (void *)&v->p, 8); s[n++] = x; }
#define READ_d READ_D
#define READ_Q(V, p) s[n++] = v->p; s[n++] = v->p >> 64;
#define READ_q READ_Q
#define READ_S(V, p)
#define READ_Z READ_S
#define WRITE_I(V, p) v->p = g[n++];
#define WRITE_B WRITE_I
#define WRITE_N WRITE_I
#define WRITE_P(V, p) v->p = (void *)g[n++];
#define WRITE_F(V, p) { __u32 x = g[n++]; __builtin_memcpy((void *)&v->p, &x, 4); }
#define WRITE_D(V, p) { __u64 x = g[n++]; __builtin_memcpy((void *)&v->p, &x, 8); }
#define WRITE_Q(V, p) v->p = g[n] | (unsigned __int128)g[n + 1] << 64; n += 2;
#define WRITE_i(V, p) n++;
#define WRITE_p WRITE_i
#define WRITE_b WRITE_i
#define WRITE_f WRITE_i
#define WRITE_d WRITE_i
#define WRITE_n WRITE_i
#define WRITE_q(V, p) n += 2;
#define WRITE_S(V, p)
#define WRITE_Z WRITE_S
