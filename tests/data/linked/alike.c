/* Compiled as UNIT 0 to 5: units of the same header; TWINS: a declared name has two definitions. */
#define JOIN(a, b) a##b
#define NAME(a, b) JOIN(a, b)
#define OWN(name) NAME(name, UNIT)
struct later;
struct node { struct node *next, *prev; struct later *later; };
typedef struct { int counter; } counter_t;
typedef int (*handler_t)(struct node *node, const struct later *later, ...);
enum state { IDLE, BUSY = 7 };
struct inner { union { struct node *nodes; unsigned long word; }; counter_t counters[3]; enum state state : 4; };
struct outer { struct inner inner; handler_t handlers[2]; struct outer *parent; const char *name; };
#if UNIT
struct later { struct outer *outer; volatile unsigned char bytes[8]; };
#endif
#if UNIT == 2
struct local { struct outer *outer; long only_here; }; /* as in other units, but for the last member */
#else
struct local { struct outer *outer; long value; };
#endif
#ifdef TWINS
#if UNIT == 1
struct hidden { int one; };
#elif UNIT == 2
struct hidden { int two; };
#endif
struct holder { struct hidden *hidden; };
struct holder *OWN(holders);
#endif
struct outer *OWN(outers);
struct local *OWN(locals);
__attribute__((section(".data..percpu"))) struct inner OWN(percpu_);
int shared(struct outer *outer, struct local *local);
#if UNIT == 0
int shared(struct outer *outer, struct local *local) { return outer->inner.state + !local; }
#endif
int OWN(use)(struct outer *outer, struct later *later, counter_t counter)
{
#if UNIT == 3
	struct { int shape; } unnamed = {counter.counter};
	struct block { int first; } one = {unnamed.shape};
	{
		struct block { long second; } two = {one.first}; /* of the same name */
		counter.counter += (int)two.second;
	}
#endif
	return outer->inner.counters[1].counter + counter.counter + !later;
}
