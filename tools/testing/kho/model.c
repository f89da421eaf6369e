// SPDX-License-Identifier: GPL-2.0-only
/*
 * Run random operations on what is tested and on a model of it.
 */

#include <stdio.h>
#include <linux/kernel.h>

#include "harness.h"
#include "model.h"

/* Comparing everything takes its time. */
#define VERIFY_EVERY	512

/* Operations in a sequence with failing allocations. */
#define SHORT_RUN	24

static struct {
	const struct model *model;
	const struct model_op *op;
	u64 seed;
	unsigned long nr;
	long fail_nth;
	long nr_failed;
} now;

static void on_failure(void)
{
	printf("# %s: operation %lu, %s", now.model->name, now.nr,
	       now.op ? now.op->name : "verify");
	if (now.fail_nth)
		printf(", allocation %ld of the sequence fails", now.fail_nth);
	printf("; replay with -s %#llx -n %lu\n", (unsigned long long)test_seed,
	       test_nr_ops);
}

bool model_enomem(void)
{
	return shim_failed() != now.nr_failed;
}

static const struct model_op *choose(const struct model *model)
{
	unsigned int i, total = 0;
	u64 r;

	for (i = 0; i < model->nr_ops; i++)
		total += model->ops[i].weight;

	r = test_rand_below(total);
	for (i = 0; r >= model->ops[i].weight; i++)
		r -= model->ops[i].weight;

	return &model->ops[i];
}

static void step(const struct model *model)
{
	/* Each operation anew, so that none changes what later ones do. */
	test_srand(now.seed + now.nr * 0x9e3779b9);
	now.op = choose(model);
	now.nr_failed = shim_failed();
	now.op->run();
}

static void verify(const struct model *model)
{
	long fail_nth = shim_alloc.fail_nth;

	shim_alloc.fail_nth = 0;
	now.op = NULL;
	model->verify();
	shim_alloc.fail_nth = fail_nth;
}

static void begin(const struct model *model, u64 seed)
{
	now.model = model;
	now.op = NULL;
	now.seed = seed;
	now.nr = 0;
	test_on_failure = on_failure;
	test_srand(seed);
	model->begin();
}

static void end(const struct model *model)
{
	verify(model);
	model->end();
	EXPECT_EQ(shim_live(), 0);
}

void model_run(const struct model *model)
{
	now.fail_nth = 0;
	begin(model, test_seed);
	for (now.nr = 1; now.nr <= test_nr_ops; now.nr++) {
		step(model);
		if (now.nr % VERIFY_EVERY == 0)
			verify(model);
	}
	end(model);
}

/* False when fewer than @fail_nth allocations were made. */
static bool run_failing(const struct model *model, u64 seed, long fail_nth)
{
	long nr_failed;

	now.fail_nth = fail_nth;
	begin(model, seed);
	nr_failed = shim_failed();
	shim_alloc.fail_nth = fail_nth;
	for (now.nr = 1; now.nr <= SHORT_RUN; now.nr++)
		step(model);
	shim_alloc.fail_nth = 0;
	nr_failed = shim_failed() - nr_failed;
	EXPECT(nr_failed <= 1);
	end(model);

	return nr_failed;
}

void model_run_failing(const struct model *model)
{
	unsigned long done = 0, sequence, points = 0;
	long nth;

	for (sequence = 0; done < test_nr_ops; sequence++) {
		for (nth = 1; run_failing(model, test_seed + sequence, nth); nth++)
			done += SHORT_RUN;
		points += nth - 1;
		done += SHORT_RUN;
	}

	EXPECT(points);
	printf("# %s: %lu sequences with a failure at each of %lu allocations\n",
	       model->name, sequence, points);
}
