typedef unsigned long size_t;
struct list { struct list *next; };
struct big { int grid[2][3]; struct list head; unsigned a : 3, b : 5; };
__attribute__((section(".data..percpu"))) int first_percpu = 1;
__attribute__((section(".data..percpu"))) struct big percpu_big;
static __attribute__((section(".data..percpu"))) long hidden_percpu;
int plain = 3;
extern int other(struct big *big, int n);
static __attribute__((noinline)) int removed(struct big *big, int unused, int n) { return big->grid[0][1] + n; }
static __attribute__((noinline)) int twice(int n) { return 2 * n + plain; }
int many(int a, int b, int c, int d, int e, int f, int g, struct big *h) { return a + b + c + d + e + f + g + h->a; }
int use(struct big *big, int n) { hidden_percpu++; return removed(big, 1, n) + twice(n) + other(big, n); }
static __attribute__((noinline)) int constant(struct big *big, int seven, int n) { return big->grid[1][seven & 1] * n + plain; }
int use_constant(struct big *big, int n) { return constant(big, 7, n) + constant(big, 7, n + 1); }
int bpf_one(struct big *big) { return big->b; }
#define ID(kind, name, nr, flags) asm(".pushsection .BTF_ids,\"a\"\n.local __BTF_ID__" #kind "__" #name "__" #nr "\n.type __BTF_ID__" #kind "__" #name "__" #nr ", STT_OBJECT\n.size __BTF_ID__" #kind "__" #name "__" #nr ",4\n__BTF_ID__" #kind "__" #name "__" #nr ":\n.zero 4\n.long " #flags "\n.popsection\n")
asm(".pushsection .BTF_ids,\"a\"\n.local __BTF_ID__set8__kfuncs\n.type __BTF_ID__set8__kfuncs,STT_OBJECT\n.size __BTF_ID__set8__kfuncs,16\n__BTF_ID__set8__kfuncs:\n.zero 4\n.long 1\n.popsection\n");
ID(func, bpf_one, 1, 4096);
