// How arrays pickle: a mapped file by its path, anything else by value.

#include "array/copy.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/functions.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "io/npy.h"
#include "memory/mapped_file.h"

namespace spanflow::bindings {
namespace {

using array::View;
using capi::Check;
using capi::Ref;
using memory::MapMode;

Ref Restorer(const char* name) {
  const Ref module = Check(PyImport_ImportModule("spanflow._restore"));
  return Check(PyObject_GetAttrString(module.get(), name));
}

Ref ByPath(ArrayObject* self, const memory::MappedPlace& place) {
  const View& view = self->view;
  const bool writes = place.mode == MapMode::kReadWrite && !view.readonly;
  const Ref path = Check(PyUnicode_DecodeFSDefaultAndSize(
      place.path.data(), static_cast<Py_ssize_t>(place.path.size())));
  const int64_t offset = place.offset + (view.data - view.block->address());
  const Ref restore = Restorer("mapped");
  return Check(Py_BuildValue(
      "(O(OsNNNL))", restore.get(), path.get(), writes ? "r+" : "r",
      WrapDType(self->state, view.dtype()).release(), DimsTuple(view.layout.shape).release(),
      DimsTuple(view.layout.strides).release(), static_cast<long long>(offset)));
}

// All bytes as one line: those of the array itself where it is contiguous, else of a copy.
Ref BytesOf(ArrayObject* self, bool fortran) {
  Ref array = Ref::Borrow(reinterpret_cast<PyObject*>(self));
  if (!fortran && !self->view.layout.c_contiguous()) {
    array = CopyOf(self->state, self->view, self->view.dtype());
  }
  ArrayObject* whole = AsArray(array.get());
  const int64_t nbytes = whole->view.layout.nbytes();
  base::Layout line =
      capi::Take(base::Layout::Contiguous(base::DType(base::Kind::kU8), base::Dims{nbytes}));
  return NewView(whole, whole->view.With(std::move(line)));
}

Ref ByValue(ArrayObject* self, long protocol) {
  const bool fortran = self->view.layout.is_fortran();
  Ref bytes = BytesOf(self, fortran);
  if (protocol >= 5) {
    bytes = Check(PyPickleBuffer_FromObject(bytes.get()));
  } else {
    bytes = Check(PyObject_CallMethod(bytes.get(), "tobytes", nullptr));
  }
  const Ref restore = Restorer(protocol >= 5 ? "buffer" : "copied");
  return Check(Py_BuildValue(
      "(O(NNsO))", restore.get(), WrapDType(self->state, self->view.dtype()).release(),
      DimsTuple(self->view.layout.shape).release(), fortran ? "F" : "C", bytes.get()));
}

MapMode ModeFrom(PyObject* mode) {
  const bool writes = PyUnicode_Check(mode) && PyUnicode_CompareWithASCIIString(mode, "r+") == 0;
  return writes ? MapMode::kReadWrite : MapMode::kRead;
}

// What "mapped" in spanflow._restore calls.
Ref OpenStrided(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<6> kSignature(
      "_open_strided", {"path", "mode", "dtype", "shape", "strides", "offset"}, 6, 6);
  const auto [path, mode, dtype, shape, strides, offset] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const std::string name = PathFrom(path);
  base::Layout layout{DTypeFromObject(state, dtype), ShapeFromObject(shape),
                      ShapeFromObject(strides)};
  if (layout.shape.size() != layout.strides.size()) {
    capi::Raise(PyExc_ValueError, "a shape of %d dimensions has %d strides", layout.shape.size(),
                layout.strides.size());
  }
  capi::Take(base::CheckedBytes(layout.shape, layout.dtype.itemsize()));
  const int64_t first = capi::Integer(offset, PyExc_ValueError);
  const MapMode map = ModeFrom(mode);
  auto view = [&] {
    const capi::DetachScope detached;
    return io::OpenStrided(name, map, std::move(layout), first);
  }();
  return NewArray(state, capi::Take(std::move(view)));
}

}  // namespace

Ref ReduceArray(PyObject* object, PyObject* protocol) {
  ArrayObject* self = OpenArray(object);
  const long number = PyLong_AsLong(protocol);
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
  if (self->view.block->kind() == memory::BlockKind::kMapped) {
    if (const auto place = memory::PlaceOf(self->view.block.get())) return ByPath(self, *place);
  }
  return ByValue(self, number);
}

PyMethodDef pickle_functions[] = {
    {"_open_strided", capi::Method<&OpenStrided>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
