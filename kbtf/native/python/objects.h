/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* Shared by the files of the Python module. */
#ifndef KBTF_OBJECTS_H
#define KBTF_OBJECTS_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include "base_index.h"
#include "btf.h"

typedef struct {
	PyObject_HEAD
	struct btf btf;
	Py_buffer data;
	PyObject *base; /* an Index that keeps btf.base alive, or NULL */
} Index;

/* The state of the module. */
struct module_state {
	PyObject *btf_error;	/* kbtf.errors.BtfError */
	PyObject *misfit_error; /* kbtf.errors.MisfitError */
	PyObject *index_type;
	PyObject *base_index_type;
	PyObject *relocated_type;
	uint64_t seed; /* of the hashes of names */
};

/* Raise an error; NULL. */
PyObject *raise_btf_error(const struct module_state *state, const struct btf_error *err);
PyObject *bytes_of(const void *bytes, size_t length);
PyObject *string_object(const char *string);

/* The list with one more id; NULL, and the list is gone, if that fails. */
PyObject *append_id(PyObject *list, uint32_t id);

/* The contents of an Index or a BaseIndex; TypeError and NULL for another object. */
const struct btf *btf_of(const struct module_state *state, PyObject *object);
const struct base_index *base_index_of(const struct module_state *state, PyObject *object);
/* The same, and ValueError if it is not that of the Index `base`. */
const struct base_index *base_index_for(const struct module_state *state, PyObject *object,
					PyObject *base);

/* index.c */
PyObject *index_find(PyObject *object, PyObject *name);
int add_index_type(PyObject *module);

/* operations.c */
PyObject *check_fit(PyObject *module, PyObject *split);
PyObject *distill(PyObject *module, PyObject *split);
PyObject *verify(PyObject *module, PyObject *args);

/* relocate.c */
int add_relocated_type(PyObject *module);
PyObject *relocate(PyObject *module, PyObject *args);

/* base_index.c */
int add_base_index_type(PyObject *module);
PyObject *index_base(PyObject *module, PyObject *args);
PyObject *open_base_index(PyObject *module, PyObject *args);
PyObject *deduplicate(PyObject *module, PyObject *args);

/* process.c */
PyObject *end_on_truncation(PyObject *module, PyObject *unused);
PyObject *end_with_parent(PyObject *module, PyObject *unused);
PyObject *flush_file_system(PyObject *module, PyObject *fd);
PyObject *start_flush(PyObject *module, PyObject *fd);

/* encode.c */
PyObject *encode(PyObject *module, PyObject *args);

#endif
