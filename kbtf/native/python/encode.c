/* SPDX-License-Identifier: LGPL-2.1-only OR BSD-2-Clause */
/* The Python function for encoding DWARF. */
#include "objects.h"

#include "encode.h"

#include <stdlib.h>

/* Sections with the buffers of their contents. */
struct sections {
	struct elf_section *at;
	Py_buffer *buffers;
	Py_ssize_t nr;
};

static void release_sections(struct sections *sections)
{
	Py_ssize_t i;

	for (i = 0; sections->buffers && i < sections->nr; i++)
		if (sections->buffers[i].obj)
			PyBuffer_Release(&sections->buffers[i]);
	free(sections->buffers);
	free(sections->at);
}

static int read_section(PyObject *row, struct elf_section *section, Py_buffer *buffer)
{
	unsigned long long flags, addr, align, size;
	PyObject *data;
	int mapped;

	if (!PyArg_ParseTuple(row, "yIKKKIIKOp", &section->name, &section->type, &flags, &addr,
			      &align, &section->link, &section->info, &size, &data, &mapped))
		return -1;
	section->mapped = mapped;
	section->flags = flags;
	section->addr = addr;
	section->align = align;
	section->size = size;
	if (data == Py_None)
		return 0;
	if (PyObject_GetBuffer(data, buffer, PyBUF_SIMPLE))
		return -1;
	section->data = buffer->buf;
	section->size = (uint64_t)buffer->len;
	return 0;
}

static int read_sections(PyObject *rows, struct sections *sections)
{
	PyObject *row;
	Py_ssize_t i;

	sections->nr = PyTuple_Size(rows);
	if (sections->nr < 0)
		return -1;
	sections->at = calloc((size_t)sections->nr + 1, sizeof(*sections->at));
	sections->buffers = calloc((size_t)sections->nr + 1, sizeof(*sections->buffers));
	if (!sections->at || !sections->buffers) {
		PyErr_NoMemory();
		return -1;
	}
	for (i = 0; i < sections->nr; i++) {
		row = PyTuple_GetItem(rows, i);
		if (!row || read_section(row, &sections->at[i], &sections->buffers[i]))
			return -1;
	}
	return 0;
}

static PyObject *notes_list(const struct encode_result *result)
{
	PyObject *list = PyList_New(0), *row;
	const struct encode_note *note;
	uint32_t i;

	for (i = 0; list && i < result->notes.nr; i++) {
		note = &result->notes.at[i];
		row = Py_BuildValue("(iIN)", note->kind, note->number, string_object(note->text));
		if (!row || PyList_Append(list, row))
			Py_CLEAR(list);
		Py_XDECREF(row);
	}
	return list;
}

PyObject *encode(PyObject *module, PyObject *args)
{
	const struct module_state *state = PyModule_GetState(module);
	struct encode_options options = {0};
	struct encode_result result;
	struct sections sections = {0};
	const struct base_index *index;
	PyObject *list, *rows, *base, *made = NULL;
	int is_64, foreign, linked, strict, failed;
	struct btf_error err;
	struct elf elf = {0};
	unsigned long long packed_size;

	if (!PyArg_ParseTuple(args, "OO!KHpppIIpI", &base, &PyList_Type, &list, &packed_size,
			      &elf.machine, &is_64, &foreign, &linked, &options.features, &options.profile, &strict,
			      &options.jobs))
		return NULL;
	index = base_index_of(state, base);
	/* The rows have the names of the sections, and others may change the list. */
	rows = index ? PyList_AsTuple(list) : NULL;
	if (!rows || read_sections(rows, &sections)) {
		release_sections(&sections);
		Py_XDECREF(rows);
		return NULL;
	}
	elf.sections = sections.at;
	elf.nr_sections = (uint32_t)sections.nr;
	elf.packed_size = packed_size;
	elf.is_64 = is_64;
	elf.foreign = foreign;
	elf.linked = linked;
	options.strict = strict;
	Py_BEGIN_ALLOW_THREADS
	failed = dwarf_encode(&elf, index, &options, &result, &err);
	Py_END_ALLOW_THREADS
	release_sections(&sections);
	Py_DECREF(rows);
	if (failed)
		raise_btf_error(state, &err);
	else
		made = Py_BuildValue("(NNI)", bytes_of(result.blob.bytes, result.blob.length),
				     notes_list(&result), result.nr_units);
	encode_release(&result);
	return made;
}
