#include "bindings/array_object.h"

#include <new>
#include <string>
#include <vector>

#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "capi/args.h"
#include "capi/attach.h"
#include "capi/entry.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Ref;

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsArray(self)->lease);
  return 0;
}

// The lease is dropped by dealloc: an array without its lease would have bytes of nobody. A cycle
// is broken by the lease itself, which lets its exporter go.
int Clear(PyObject*) { return 0; }

void Dealloc(PyObject* object) {
  PyObject_GC_UnTrack(object);
  Py_TRASHCAN_BEGIN(object, Dealloc)
  ArrayObject* self = AsArray(object);
  if (self->weakrefs != nullptr) PyObject_ClearWeakRefs(object);
  self->view.~View();
  Py_CLEAR(self->lease);
  PyTypeObject* type = Py_TYPE(object);
  type->tp_free(object);
  Py_DECREF(type);
  Py_TRASHCAN_END
}

Ref New(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  static constexpr capi::Signature<3> kSignature("Array", {"obj", "dtype", "copy"}, 2, 1);
  const auto [object, dtype, copy] = kSignature.ParseTuple(args, kwargs);
  ModuleState* state = StateOf(type);
  Ref array = AsArrayObject(state, object, dtype, copy);
  if (type == state->array_type) return array;
  return NewArrayOfType(type, AsArray(array.get()));
}

Ref Repr(PyObject* self) {
  const Ref text = Check(PyImport_ImportModule("spanflow._text"));
  return Check(PyObject_CallMethod(text.get(), "array_repr", "O", self));
}
Ref Str(PyObject* self) {
  const Ref text = Check(PyImport_ImportModule("spanflow._text"));
  return Check(PyObject_CallMethod(text.get(), "array_str", "O", self));
}

Py_ssize_t Length(PyObject* object) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  if (self->view.ndim() == 0) capi::Raise(PyExc_TypeError, "len() of a 0-d array");
  return self->view.layout.shape[0];
}

// Every attribute of an open array: the getter's body sees the View.
template <Ref (*kGet)(ArrayObject*)>
Ref Get(PyObject* object, void*) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  return kGet(self);
}

Ref Shape(ArrayObject* self) { return DimsTuple(self->view.layout.shape); }
Ref Strides(ArrayObject* self) { return DimsTuple(self->view.layout.strides); }
Ref DTypeOf(ArrayObject* self) { return WrapDType(self->state, self->view.dtype()); }
Ref Ndim(ArrayObject* self) { return Check(PyLong_FromLong(self->view.ndim())); }
Ref Size(ArrayObject* self) { return Check(PyLong_FromLongLong(self->view.size())); }
Ref Nbytes(ArrayObject* self) { return Check(PyLong_FromLongLong(self->view.layout.nbytes())); }
Ref Itemsize(ArrayObject* self) {
  return Check(PyLong_FromLongLong(self->view.dtype().itemsize()));
}
Ref Format(ArrayObject* self) { return Check(PyUnicode_FromString(self->view.dtype().format())); }
Ref Readonly(ArrayObject* self) { return capi::Bool(self->view.readonly); }
Ref CContiguous(ArrayObject* self) { return capi::Bool(self->view.layout.c_contiguous()); }
Ref FContiguous(ArrayObject* self) { return capi::Bool(self->view.layout.f_contiguous()); }
Ref Contiguous(ArrayObject* self) {
  return capi::Bool(self->view.layout.c_contiguous() || self->view.layout.f_contiguous());
}
Ref Address(ArrayObject* self) { return Check(PyLong_FromVoidPtr(self->view.data)); }
Ref Transposed(ArrayObject* self) {
  base::Dims axes;
  for (int i = self->view.ndim() - 1; i >= 0; --i) axes.push_back(i);
  return NewView(self, self->view.With(base::Transpose(self->view.layout, axes)));
}

Ref Interface(ArrayObject* self) {
  const array::View& view = self->view;
  Ref descr = Check(PyList_New(0));
  if (view.dtype().kind() == base::Kind::kRecord) {
    const Ref text = Check(PyImport_ImportModule("spanflow._text"));
    descr = Check(PyObject_CallMethod(text.get(), "descr", "N", DTypeOf(self).release()));
  } else {
    const Ref entry = Check(Py_BuildValue("(ss)", "", view.dtype().ArrayCode().c_str()));
    capi::CheckStatus(PyList_Append(descr.get(), entry.get()));
  }
  return Check(Py_BuildValue("{sisNsssNsNs(NN)}", "version", 3, "shape", Shape(self).release(),
                             "typestr", view.dtype().ArrayCode().c_str(), "descr", descr.release(),
                             "strides", Strides(self).release(), "data", Address(self).release(),
                             Readonly(self).release()));
}

// These two answer for a closed array as well.
Ref Storage(PyObject* object, void*) {
  return Check(PyUnicode_FromString(memory::NameOf(AsArray(object)->view.block->kind())));
}
Ref Closed(PyObject* object, void*) { return capi::Bool(AsArray(object)->view.block->closed()); }

#define OPEN_GETTER(function) reinterpret_cast<getter>(capi::Slot<&Get<&function>>())

PyGetSetDef getset[] = {
    {"shape", OPEN_GETTER(Shape), nullptr, "Elements along each dimension.", nullptr},
    {"dtype", OPEN_GETTER(DTypeOf), nullptr, "What one element is.", nullptr},
    {"strides", OPEN_GETTER(Strides), nullptr, "Bytes from one element to the next, per dimension.",
     nullptr},
    {"ndim", OPEN_GETTER(Ndim), nullptr, "The number of dimensions.", nullptr},
    {"size", OPEN_GETTER(Size), nullptr, "The number of elements.", nullptr},
    {"nbytes", OPEN_GETTER(Nbytes), nullptr, "size * itemsize.", nullptr},
    {"itemsize", OPEN_GETTER(Itemsize), nullptr, "Bytes of one element.", nullptr},
    {"format", OPEN_GETTER(Format), nullptr, "The PEP 3118 format of one element.", nullptr},
    {"readonly", OPEN_GETTER(Readonly), nullptr, "Whether the elements may not be written.",
     nullptr},
    {"c_contiguous", OPEN_GETTER(CContiguous), nullptr, "Rows lie one behind the other.", nullptr},
    {"f_contiguous", OPEN_GETTER(FContiguous), nullptr, "Columns lie one behind the other.",
     nullptr},
    {"contiguous", OPEN_GETTER(Contiguous), nullptr, "C- or F-contiguous.", nullptr},
    {"T", OPEN_GETTER(Transposed), nullptr, "The view with its dimensions reversed.", nullptr},
    {"address", OPEN_GETTER(Address), nullptr, "The address of element [0, …, 0].", nullptr},
    {"__array_interface__", OPEN_GETTER(Interface), nullptr, "NumPy's array interface, version 3.",
     nullptr},
    {"storage", reinterpret_cast<getter>(capi::Slot<&Storage>()), nullptr,
     "Who owns the bytes: 'heap', 'mapped' or 'foreign'.", nullptr},
    {"closed", reinterpret_cast<getter>(capi::Slot<&Closed>()), nullptr,
     "Whether the bytes were let go by close().", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyMemberDef members[] = {
    {"__weaklistoffset__", T_PYSSIZET, offsetof(ArrayObject, weakrefs), READONLY, nullptr},
    {nullptr, 0, 0, 0, nullptr}};

const char kDoc[] =
    "Array(obj, dtype=None, *, copy=None)\n--\n\n"
    "An N-dimensional view of bytes that it owns, maps from a file or borrows from another "
    "object.\n"
    "\n"
    "Made by asarray, array, empty, zeros, ones, full, arange, frombuffer and open. Slices, .T "
    "and\n"
    "record fields are views of the same bytes; arithmetic gives new arrays.";

std::vector<PyType_Slot> Slots() {
  std::vector<PyType_Slot> slots = {
      {Py_tp_doc, const_cast<char*>(kDoc)},
      {Py_tp_new, capi::Slot<&New>()},
      {Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
      {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
      {Py_tp_clear, reinterpret_cast<void*>(&Clear)},
      {Py_tp_repr, capi::Slot<&Repr>()},
      {Py_tp_str, capi::Slot<&Str>()},
      {Py_tp_hash, reinterpret_cast<void*>(&PyObject_HashNotImplemented)},
      {Py_tp_richcompare, capi::Slot<&ArrayRichCompare>()},
      {Py_tp_iter, capi::Slot<&ArrayIter>()},
      {Py_tp_getset, getset},
      {Py_tp_members, members},
      {Py_tp_methods, array_methods},
      {Py_mp_length, capi::Slot<&Length>()},
      {Py_sq_length, capi::Slot<&Length>()},
      {Py_sq_item, capi::Slot<&ArrayItem>()},
      {Py_mp_subscript, capi::Slot<&ArraySubscript>()},
      {Py_mp_ass_subscript, capi::Slot<&ArrayAssignSubscript>()},
      {Py_bf_getbuffer, reinterpret_cast<void*>(&ArrayGetBuffer)},
      {Py_bf_releasebuffer, reinterpret_cast<void*>(&ArrayReleaseBuffer)},
  };
  for (const PyType_Slot& slot : ArrayNumberSlots()) slots.push_back(slot);
  slots.push_back({0, nullptr});
  return slots;
}

}  // namespace

PyTypeObject* MakeArrayType(PyObject* module) {
  std::vector<PyType_Slot> slots = Slots();
  PyType_Spec spec = {"spanflow.Array", sizeof(ArrayObject), 0,
                      Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
                          Py_TPFLAGS_IMMUTABLETYPE | Py_TPFLAGS_SEQUENCE,
                      slots.data()};
  return MakeType(module, &spec, true);
}

// The view is copied or moved once, into its place.
template <class V>
static Ref MakeArray(ModuleState* state, V&& view, PyObject* lease) {
  auto* self = PyObject_GC_New(ArrayObject, state->array_type);
  Ref object = Check(reinterpret_cast<PyObject*>(self));
  self->state = state;
  self->weakrefs = nullptr;
  self->lease = Py_XNewRef(lease);
  new (&self->view) array::View(std::forward<V>(view));
  // Without a lease nothing that the collector could follow is held.
  if (lease != nullptr) PyObject_GC_Track(object.get());
  return object;
}

Ref NewArray(ModuleState* state, array::View&& view, PyObject* lease) {
  return MakeArray(state, std::move(view), lease);
}

Ref NewView(ArrayObject* self, array::View&& view) {
  return MakeArray(self->state, std::move(view), self->lease);
}

Ref NewView(ArrayObject* self) { return MakeArray(self->state, self->view, self->lease); }

Ref NewArrayOfType(PyTypeObject* type, ArrayObject* from) {
  Ref object = Check(type->tp_alloc(type, 0));
  ArrayObject* self = AsArray(object.get());
  self->state = from->state;
  self->lease = Py_XNewRef(from->lease);
  new (&self->view) array::View(from->view);
  return object;
}

void RaiseClosed() { capi::Raise(PyExc_ValueError, "operation on a closed array"); }

Ref ReadItem(const array::View& view, const std::byte* item) {
  const AccessScope access(view);
  Ref object = ItemToObject(view.dtype(), item);
  access.Finish();
  return object;
}

void WriteItem(const array::View& view, std::byte* item, PyObject* value) {
  const AccessScope access(view);
  ObjectToItem(view.dtype(), value, item);
  access.Finish();
}

void CheckWritable(const array::View& view) {
  if (view.readonly) {
    capi::Raise(PyExc_ValueError, "the array is read-only; copy() gives a writable one%s",
                view.block->kind() == memory::BlockKind::kMapped
                    ? ", and open(path, mode='r+') or mode='c' a writable mapping"
                    : "");
  }
}

Ref DimsTuple(const base::Dims& dims) {
  Ref tuple = Check(PyTuple_New(dims.size()));
  for (int i = 0; i < dims.size(); ++i) {
    PyTuple_SET_ITEM(tuple.get(), i, Check(PyLong_FromLongLong(dims[i])).release());
  }
  return tuple;
}

}  // namespace spanflow::bindings
