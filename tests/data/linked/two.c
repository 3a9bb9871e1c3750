struct list { struct list *next; };
struct big { int grid[2][3]; struct list head; unsigned a : 3, b : 5; };
enum color { RED, GREEN = 5 };
__attribute__((section(".data..percpu"))) enum color percpu_color;
static __attribute__((noinline)) int twice(long n) { return 3 * n; }
static __attribute__((noinline)) int alone(struct big *big) { return big->a; }
int other(struct big *big, int n) { return twice(n) + alone(big) + big->grid[n][n]; }
inline __attribute__((always_inline)) static int spread(struct list *l) { return l->next != 0; }
int spread_here(struct list *l) { return spread(l) + spread(l->next); }
void _start(void) { }
