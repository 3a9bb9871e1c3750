/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The index of a base as a Python object, and deduplication with it. */
#include "objects.h"

#include "dedup.h"

typedef struct {
	PyObject_HEAD
	struct base_index index;
	PyObject *base;	      /* the Index whose bytes it uses */
	Py_buffer mapped;      /* the image, if it came from outside */
	struct blob built; /* or if it was made here */
} BaseIndex;

static BaseIndex *new_base_index(const struct module_state *state, PyObject *base)
{
	PyTypeObject *type = (PyTypeObject *)state->base_index_type;
	BaseIndex *self = (BaseIndex *)((allocfunc)PyType_GetSlot(type, Py_tp_alloc))(type, 0);

	if (self)
		self->base = Py_NewRef(base);
	return self;
}

static void base_index_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	BaseIndex *self = (BaseIndex *)object;

	if (self->mapped.obj)
		PyBuffer_Release(&self->mapped);
	base_image_release(&self->built);
	Py_XDECREF(self->base);
	((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
	Py_DECREF(type);
}

PyObject *index_base(PyObject *module, PyObject *args)
{
	const struct module_state *state = PyModule_GetState(module);
	unsigned long long seed;
	struct btf_error err;
	const struct btf *btf;
	PyObject *base;
	BaseIndex *self;
	int failed;

	if (!PyArg_ParseTuple(args, "OK", &base, &seed))
		return NULL;
	btf = btf_of(state, base);
	self = btf ? new_base_index(state, base) : NULL;
	if (!self)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = base_image_build(&self->built, btf, seed, &err);
	if (!failed)
		base_index_use(&self->index, self->built.bytes, btf);
	Py_END_ALLOW_THREADS
	if (failed) {
		Py_DECREF(self);
		return raise_btf_error(state, &err);
	}
	return (PyObject *)self;
}

PyObject *open_base_index(PyObject *module, PyObject *args)
{
	const struct module_state *state = PyModule_GetState(module);
	const struct btf *btf;
	PyObject *base, *image;
	BaseIndex *self;
	int failed;

	if (!PyArg_ParseTuple(args, "OO", &base, &image))
		return NULL;
	btf = btf_of(state, base);
	self = btf ? new_base_index(state, base) : NULL;
	if (!self)
		return NULL;
	if (PyObject_GetBuffer(image, &self->mapped, PyBUF_SIMPLE)) {
		Py_DECREF(self);
		return NULL;
	}
	Py_BEGIN_ALLOW_THREADS
	failed = base_index_open(&self->index, self->mapped.buf, (size_t)self->mapped.len, btf);
	Py_END_ALLOW_THREADS
	if (failed) {
		Py_DECREF(self);
		return Py_NewRef(Py_None);
	}
	return (PyObject *)self;
}

static PyObject *base_index_image(PyObject *object, PyObject *unused)
{
	BaseIndex *self = (BaseIndex *)object;

	(void)unused;
	if (self->mapped.obj)
		return bytes_of(self->mapped.buf, (size_t)self->mapped.len);
	return bytes_of(self->built.bytes, self->built.length);
}

static PyObject *base_index_find(PyObject *object, PyObject *arg)
{
	BaseIndex *self = (BaseIndex *)object;
	const struct named_id *at, *end;
	PyObject *found;
	Py_ssize_t length;
	char *name;

	if (!self->index.nr_named)
		return index_find(self->base, arg);
	if (PyBytes_AsStringAndSize(arg, &name, &length))
		return NULL;
	found = PyList_New(0);
	if (memchr(name, 0, (size_t)length))
		return found;
	at = base_index_named(&self->index, name, (size_t)length, &end);
	for (; found && at < end; at++)
		found = append_id(found, at->id);
	return found;
}

static PyObject *get_nested_arrays(PyObject *self, void *closure)
{
	(void)closure;
	return PyBool_FromLong(((BaseIndex *)self)->index.nested_arrays);
}

static PyGetSetDef base_index_getset[] = {
	{"nested_arrays", get_nested_arrays, NULL, NULL, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef base_index_methods[] = {
	{"find", base_index_find, METH_O, NULL},
	{"image", base_index_image, METH_NOARGS, NULL},
	{NULL, NULL, 0, NULL},
};

static PyType_Slot base_index_slots[] = {
	{Py_tp_dealloc, base_index_dealloc},
	{Py_tp_methods, base_index_methods},
	{Py_tp_getset, base_index_getset},
	{Py_tp_doc, "What is looked up in a base by name and by shape."},
	{0, NULL},
};

static PyType_Spec base_index_spec = {
	.name = "kbtf.native._native.BaseIndex",
	.basicsize = sizeof(BaseIndex),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION,
	.slots = base_index_slots,
};

const struct base_index *base_index_of(const struct module_state *state, PyObject *object)
{
	if ((PyObject *)Py_TYPE(object) == state->base_index_type)
		return &((BaseIndex *)object)->index;
	PyErr_SetString(PyExc_TypeError, "a BaseIndex is needed");
	return NULL;
}

const struct base_index *base_index_for(const struct module_state *state, PyObject *object,
					PyObject *base)
{
	const struct base_index *index = base_index_of(state, object);

	if (!index || ((BaseIndex *)object)->base == base)
		return index;
	PyErr_SetString(PyExc_ValueError, "the BaseIndex is not of this base");
	return NULL;
}

int add_base_index_type(PyObject *module)
{
	struct module_state *state = PyModule_GetState(module);

	state->base_index_type = PyType_FromModuleAndSpec(module, &base_index_spec, NULL);
	if (!state->base_index_type)
		return -1;
	return PyModule_AddObjectRef(module, "BaseIndex", state->base_index_type);
}

PyObject *deduplicate(PyObject *module, PyObject *args)
{
	const struct module_state *state = PyModule_GetState(module);
	const struct base_index *index;
	struct btf_error err;
	const struct btf *btf;
	PyObject *split, *base, *result;
	struct deduplicated out;
	int failed;

	if (!PyArg_ParseTuple(args, "OO", &split, &base))
		return NULL;
	btf = btf_of(state, split);
	index = btf ? base_index_for(state, base, ((Index *)split)->base) : NULL;
	if (!index)
		return NULL;
	Py_BEGIN_ALLOW_THREADS
	failed = btf_deduplicate(btf, index, &out, &err);
	Py_END_ALLOW_THREADS
	if (failed)
		return raise_btf_error(state, &err);
	result = Py_BuildValue("(NN)", bytes_of(out.split.bytes, out.split.length),
			       bytes_of(out.new_ids, (size_t)(btf->end_id - btf->start_id) * 4));
	deduplicated_release(&out);
	return result;
}
