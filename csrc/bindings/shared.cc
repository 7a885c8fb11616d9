// Arrays in memory that other processes can map, and the way there.

#include <utility>

#include "bindings/array_object.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/functions.h"
#include "capi/args.h"
#include "capi/attach.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "memory/mapped_file.h"

namespace spanflow::bindings {
namespace {

using array::View;
using base::Layout;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

Ref SharedEmpty(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("shared_empty", {"shape", "dtype", "order"}, 3, 1);
  const auto [shape, dtype, order] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const base::DType type =
      Given(dtype) ? DTypeFromObject(state, dtype) : base::DType(base::Kind::kF64);
  const base::Dims dims = ShapeFromObject(shape);
  Layout layout = capi::Take(FortranFromObject(order) ? Layout::FortranContiguous(type, dims)
                                                      : Layout::Contiguous(type, dims));
  auto made = [&] {
    const capi::DetachScope detached;
    return memory::AllocateShared(layout.nbytes());
  }();
  View view{capi::Take(std::move(made)), nullptr, std::move(layout), false};
  view.data = view.block->address();
  return NewArray(state, std::move(view));
}

// (descriptor, readonly, offset, nbytes, first): a new descriptor of the file, the range of it that
// the array's block maps, and where in it the first element lies; None for any other memory.
Ref Share(PyObject* module, PyObject* object) {
  if (!IsArray(StateOf(module), object))
    Raise(PyExc_TypeError, "expected an Array, got %R", object);
  const View& view = OpenArray(object)->view;
  auto range = capi::Take(memory::FileRangeOf(*view.block));
  if (!range.has_value()) return capi::None();
  using Long = long long;
  Ref tuple = Check(Py_BuildValue("(iOLLL)", range->file.descriptor(),
                                  view.readonly ? Py_True : Py_False, Long{range->offset},
                                  Long{range->nbytes}, Long{view.data - view.block->address()}));
  range->file.Release();
  return tuple;
}

struct Mapping {
  int descriptor;
  int readonly;
  long long offset, nbytes, first;
};

// The array again, over the same bytes. Takes the descriptor over.
Ref MapShared(PyObject* module, PyObject* args) {
  Mapping from{};
  PyObject *dtype, *shape, *strides;
  if (!PyArg_ParseTuple(args, "ipLLLOOO", &from.descriptor, &from.readonly, &from.offset,
                        &from.nbytes, &from.first, &dtype, &shape, &strides)) {
    throw capi::PythonError{};
  }
  platform::File file = platform::File::Adopt(from.descriptor, "shared memory");
  ModuleState* state = StateOf(module);
  Layout layout{DTypeFromObject(state, dtype), ShapeFromObject(shape), IntegersFrom(strides)};
  const auto extent = capi::Take(base::ExtentOf(layout));
  if (from.first + extent.low < 0 || from.first + extent.high > from.nbytes) {
    Raise(PyExc_ValueError, "the array does not lie inside the %lld bytes that were shared",
          from.nbytes);
  }
  const auto mode = from.readonly != 0 ? memory::MapMode::kRead : memory::MapMode::kReadWrite;
  auto mapped = [&] {
    const capi::DetachScope detached;
    return memory::MapFile(std::move(file), mode, from.offset, from.nbytes);
  }();
  View view{capi::Take(std::move(mapped)), nullptr, std::move(layout), from.readonly != 0};
  view.data = view.block->address() + from.first;
  return NewArray(state, std::move(view));
}

}  // namespace

PyMethodDef shared_functions[] = {
    {"shared_empty", capi::Method<&SharedEmpty>(), METH_FASTCALL | METH_KEYWORDS,
     "shared_empty(shape, dtype='float64', order='C')\n--\n\n"
     "A new array of zeros in memory that other processes can map.\n\n"
     "Worker processes of a pipeline get such arrays, and mapped files, without a copy, and what\n"
     "they write is seen here. The memory has no name: it is gone with the last array over it, in\n"
     "whatever process. Raises MemoryError when\n"
     "there is not so much of it."},
    {"_share", capi::Method<&Share>(), METH_O, nullptr},
    {"_map_shared", capi::Method<&MapShared>(), METH_VARARGS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
