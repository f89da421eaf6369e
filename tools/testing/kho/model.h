/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random operations on the real thing and on a model of it, which have to agree.
 *
 * An operation is a function that takes its arguments from test_rand(), does
 * the same on both sides and compares what they return. To add one, write the
 * function and name it in the table of its model.
 *
 * What an operation finds random depends on the seed and on its number only. It
 * has to cope with a failed allocation: then it sees that the error is reported
 * and leaves the model as it was. model_enomem() says whether -ENOMEM is right.
 */
#ifndef _KHO_TEST_MODEL_H
#define _KHO_TEST_MODEL_H

#include <linux/types.h>

struct model_op {
	const char *name;
	unsigned int weight;	/* how often, relative to the others */
	void (*run)(void);
};

struct model {
	const char *name;
	void (*begin)(void);	/* no allocation fails here, */
	void (*end)(void);
	void (*verify)(void);	/* nor here: compares all there is */
	const struct model_op *ops;
	unsigned int nr_ops;
};

/* Whether an allocation has failed since the current operation began. */
bool model_enomem(void);

/* Run test_nr_ops random operations. */
void model_run(const struct model *model);

/*
 * Run many short sequences of operations; each again and again, with the first,
 * the second, the third allocation failing, until none is left to fail.
 */
void model_run_failing(const struct model *model);

#endif /* _KHO_TEST_MODEL_H */
