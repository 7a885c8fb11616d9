// open() and save(): .npy and raw files as arrays.
#include <optional>
#include <string>

#include "bindings/array_object.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/functions.h"
#include "capi/args.h"
#include "capi/attach.h"
#include "capi/entry.h"
#include "capi/object.h"
#include "io/npy.h"
#include "io/npy_header.h"

namespace spanflow::bindings {
namespace {

using array::View;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

struct Mode {
  bool create = false;
  memory::MapMode map = memory::MapMode::kRead;
};

Mode ModeFrom(PyObject* object) {
  const auto is = [object](const char* mode) {
    return PyUnicode_Check(object) && PyUnicode_CompareWithASCIIString(object, mode) == 0;
  };
  if (!Given(object) || is("r")) return {false, memory::MapMode::kRead};
  if (is("r+")) return {false, memory::MapMode::kReadWrite};
  if (is("w+")) return {true, memory::MapMode::kReadWrite};
  if (is("c")) return {false, memory::MapMode::kCopyOnWrite};
  Raise(PyExc_ValueError,
        "mode must be 'r' (read), 'r+' (read and write), 'w+' (new file) or 'c' (copy on write), "
        "got %R",
        object);
}

// Tells the work to stop once a handler of a signal (Ctrl-C) raised; what it raised stays set.
platform::StopFn UnlessInterrupted(capi::DetachScope& detached) {
  return [&detached] {
    const capi::ReattachScope attached(detached);
    return PyErr_CheckSignals() != 0;
  };
}

void CheckInterrupted(const base::Status& status) {
  if (status.code() == base::Code::kCancelled && PyErr_Occurred() != nullptr) {
    throw capi::PythonError{};
  }
}

struct OpenCall {
  std::string path;
  Mode mode;
  std::optional<base::DType> dtype;
  std::optional<base::Dims> shape;
  int64_t offset = 0;
  bool order_given = false;
  bool fortran = false;
};

base::Result<View> OpenFile(const OpenCall& call) {
  capi::DetachScope detached;
  if (call.mode.create) {
    return io::CreateNpy(call.path, *call.dtype, *call.shape, call.fortran,
                         UnlessInterrupted(detached));
  }
  if (!call.dtype) return io::OpenNpy(call.path, call.mode.map);
  return io::OpenRaw(call.path, call.mode.map, *call.dtype, call.shape, call.offset, call.fortran);
}

void CheckArguments(const OpenCall& call) {
  if (call.mode.create && (!call.dtype || !call.shape || call.offset != 0)) {
    Raise(PyExc_ValueError, "mode 'w+' makes a new .npy file: give its dtype and shape, no offset");
  }
  if (!call.mode.create && !call.dtype && (call.shape || call.offset != 0)) {
    Raise(PyExc_ValueError, "shape and offset describe a raw file: give its dtype as well");
  }
}

// A .npy file says its order itself; an order that was asked for is a promise to the caller.
void CheckOrder(const OpenCall& call, const base::Layout& layout) {
  if (!call.order_given || (call.fortran ? layout.f_contiguous() : layout.c_contiguous())) return;
  Raise(PyExc_ValueError,
        "'%s' is in %s order, not in the order '%s' that was asked for; leave it out",
        call.path.c_str(), call.fortran ? "C" : "Fortran", call.fortran ? "F" : "C");
}

Ref Open(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<6> kSignature(
      "open", {"path", "mode", "dtype", "shape", "offset", "order"}, 2, 1);
  const auto [path, mode, dtype, shape, offset, order] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  OpenCall call{PathFrom(path), ModeFrom(mode), {}, {}};
  if (Given(shape)) call.shape = ShapeFromObject(shape);
  if (Given(offset)) call.offset = capi::Integer(offset, PyExc_ValueError);
  if (Given(dtype)) call.dtype = DTypeFromObject(state, dtype);
  call.order_given = Given(order);
  call.fortran = FortranFromObject(order);
  CheckArguments(call);
  base::Result<View> view = OpenFile(call);
  CheckInterrupted(view.status());
  capi::Check(view.status());
  CheckOrder(call, view->layout);
  return NewArray(state, *std::move(view));
}

Ref Save(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<2> kSignature("save", {"path", "a"}, 2, 2);
  const auto [path_object, object] = kSignature.Parse(args, nargs, kwnames);
  const std::string path = PathFrom(path_object);
  const Ref array = AsArrayObject(StateOf(module), object, nullptr, nullptr);
  CheckOpen(AsArray(array.get()));
  const View& view = AsArray(array.get())->view;
  const AccessScope access(view);
  base::Status status;
  {
    capi::DetachScope detached;
    status = io::SaveNpy(path, view, UnlessInterrupted(detached));
  }
  CheckInterrupted(status);
  capi::Check(status);
  access.Finish();
  return capi::None();
}

// What stands in front of the data of a .npy file, for whoever writes one piece by piece.
Ref NpyHeader(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<2> kSignature("_npy_header", {"dtype", "shape"}, 2, 2);
  const auto [dtype, shape] = kSignature.Parse(args, nargs, kwnames);
  const std::string header = capi::Take(
      io::FormatNpyHeader(DTypeFromObject(StateOf(module), dtype), ShapeFromObject(shape), false));
  return capi::Check(
      PyBytes_FromStringAndSize(header.data(), static_cast<Py_ssize_t>(header.size())));
}

}  // namespace

std::string PathFrom(PyObject* object) {
  PyObject* bytes = nullptr;
  if (PyUnicode_FSConverter(object, &bytes) == 0) throw capi::PythonError{};
  const Ref owned = Ref::Steal(bytes);
  return {PyBytes_AS_STRING(bytes), static_cast<size_t>(PyBytes_GET_SIZE(bytes))};
}

PyMethodDef file_functions[] = {
    {"open", capi::Method<&Open>(), METH_FASTCALL | METH_KEYWORDS,
     "open(path, mode='r', *, dtype=None, shape=None, offset=0, order=None)\n--\n\n"
     "Map a .npy file, or with dtype a raw file, without reading it.\n\n"
     "mode: 'r' read only, 'r+' writes go to the file, 'w+' a new .npy file of zeros (needs dtype\n"
     "and shape), 'c' writes stay in memory. shape and offset (bytes) describe a raw file; "
     "without\n"
     "shape it is one-dimensional and as long as the file. order, 'C' or 'F', is how the elements\n"
     "of a raw or a new file lie ('C' if it is not given); a .npy file knows, and an order that "
     "is\n"
     "not the file's is refused. Raises OSError for files that cannot be opened, ValueError for a\n"
     "header, a size or an order that does not fit the file, TypeError for a dtype that spanflow\n"
     "does not have."},
    {"save", capi::Method<&Save>(), METH_FASTCALL | METH_KEYWORDS,
     "save(path, a)\n--\n\nWrite a .npy file that NumPy reads, with its data 64-byte aligned.\n\n"
     "Atomic: the new file appears under its name only when it is complete and on the disk; until\n"
     "then, and after any error or Ctrl-C, an old file of that name stays as it was. One error "
     "comes\n"
     "after that, and says so: the folder could not be written, and a power cut may bring the old\n"
     "file back."},
    {"_npy_header", capi::Method<&NpyHeader>(), METH_FASTCALL | METH_KEYWORDS, nullptr},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
