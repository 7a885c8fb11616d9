#include "bindings/create.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "base/arith.h"
#include "bindings/convert.h"
#include "bindings/dtype_object.h"
#include "bindings/lease.h"
#include "capi/args.h"
#include "capi/attach.h"
#include "capi/entry.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

enum class CopyMode { kIfNeeded, kAlways, kNever };

CopyMode CopyModeFrom(PyObject* copy) {
  if (copy == nullptr || copy == Py_None) return CopyMode::kIfNeeded;
  const int truth = PyObject_IsTrue(copy);
  capi::CheckStatus(truth);
  return truth != 0 ? CopyMode::kAlways : CopyMode::kNever;
}

bool Given(PyObject* object) { return object != nullptr && object != Py_None; }

// A contiguous copy by the exporter's own rules: the only way to read suboffsets.
Ref CopyOfIndirect(ModuleState* state, PyObject* exporter) {
  const Ref memory = Check(PyMemoryView_GetContiguous(exporter, PyBUF_READ, 'C'));
  Leased leased = LeaseBuffer(state, memory.get());
  array::View copy = capi::Take(array::CopyToNew(leased.view, leased.view.dtype()));
  return NewArray(state, std::move(copy));
}

Ref InterfaceOrNull(PyObject* object) {
  PyObject* interface = PyObject_GetAttrString(object, "__array_interface__");
  if (interface == nullptr) {
    if (!PyErr_ExceptionMatches(PyExc_AttributeError)) throw capi::PythonError{};
    PyErr_Clear();
  }
  return Ref::Steal(interface);
}

Ref WrapLease(ModuleState* state, Leased leased) {
  return NewArray(state, std::move(leased.view), leased.lease.get());
}

// NumPy refuses to export some dtypes as buffers (ValueError) but still has the array interface,
// whose typestr then names the dtype. Any other error is kept: a TypeError has named the format.
Ref WrapInterfaceAfterError(ModuleState* state, PyObject* object) {
  if (!PyErr_ExceptionMatches(PyExc_ValueError)) throw capi::PythonError{};
  Ref error = capi::TakeRaised();
  const Ref interface = InterfaceOrNull(object);
  if (!interface) {
    capi::Restore(std::move(error));
    throw capi::PythonError{};
  }
  Ref dtype = Ref::Steal(PyObject_GetAttrString(object, "dtype"));
  if (!dtype) PyErr_Clear();
  Leased leased = LeaseInterface(state, object, interface.get());
  if (dtype) {  // what the interface can only call raw bytes (bfloat16) has a name there
    const DType named = DTypeFromObject(state, dtype.get());
    if (named.itemsize() == leased.view.dtype().itemsize()) leased.view.layout.dtype = named;
  }
  return WrapLease(state, std::move(leased));
}

// Wraps without a copy; *indirect is set (and the result empty) for an exporter with suboffsets.
Ref Wrap(ModuleState* state, PyObject* object, bool* indirect) {
  if (PyObject_CheckBuffer(object)) {
    try {
      Leased leased = LeaseBuffer(state, object);
      *indirect = !leased.lease;
      return *indirect ? Ref() : WrapLease(state, std::move(leased));
    } catch (const capi::PythonError&) {
      return WrapInterfaceAfterError(state, object);
    }
  }
  if (IsPythonScalar(object) || PyList_CheckExact(object) || PyTuple_CheckExact(object)) return {};
  const Ref interface = InterfaceOrNull(object);
  return interface ? WrapLease(state, LeaseInterface(state, object, interface.get())) : Ref();
}

Ref CopyOf(ModuleState* state, const array::View& view, const DType& dtype) {
  const bool fortran = view.layout.f_contiguous() && !view.layout.c_contiguous();
  array::View copy = capi::Take(array::CopyToNew(view, dtype, fortran));
  return NewArray(state, std::move(copy));
}

[[noreturn]] void RaiseNeedsCopy(PyObject* object, const char* why) {
  Raise(PyExc_ValueError,
        "copy=False cannot be kept for this %.200s: %s. Use copy=None to allow a copy where one is "
        "needed",
        Py_TYPE(object)->tp_name, why);
}

Ref Converted(ModuleState* state, Ref array, const DType* wanted, CopyMode mode, PyObject* source) {
  const array::View& view = AsArray(array.get())->view;
  const bool cast = wanted != nullptr && !(*wanted == view.dtype());
  if (cast && mode == CopyMode::kNever) {
    const std::string why =
        "its dtype is " + view.dtype().ToString() + ", not " + wanted->ToString();
    RaiseNeedsCopy(source, why.c_str());
  }
  if (!cast && mode != CopyMode::kAlways) return array;
  CheckOpen(AsArray(array.get()));
  return CopyOf(state, view, wanted != nullptr ? *wanted : view.dtype());
}

Ref AsArrayFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("asarray", {"obj", "dtype", "copy"}, 2, 1);
  const auto [object, dtype, copy] = kSignature.Parse(args, nargs, kwnames);
  return AsArrayObject(StateOf(module), object, dtype, copy);
}

Ref ArrayFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("array", {"obj", "dtype", "copy"}, 2, 1);
  const auto [object, dtype, copy] = kSignature.Parse(args, nargs, kwnames);
  return AsArrayObject(StateOf(module), object, dtype, copy == nullptr ? Py_True : copy);
}

Ref MakeEmpty(PyObject* module, PyObject* shape, PyObject* dtype, PyObject* order, bool zeroed) {
  ModuleState* state = StateOf(module);
  const DType type = Given(dtype) ? DTypeFromObject(state, dtype) : DType(Kind::kF64);
  return NewArray(state, capi::Take(array::Empty(type, ShapeFromObject(shape), zeroed,
                                                 FortranFromObject(order))));
}

Ref EmptyFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("empty", {"shape", "dtype", "order"}, 3, 1);
  const auto [shape, dtype, order] = kSignature.Parse(args, nargs, kwnames);
  return MakeEmpty(module, shape, dtype, order, false);
}

Ref ZerosFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("zeros", {"shape", "dtype", "order"}, 3, 1);
  const auto [shape, dtype, order] = kSignature.Parse(args, nargs, kwnames);
  return MakeEmpty(module, shape, dtype, order, true);
}

void FillWith(ModuleState* state, const array::View& view, PyObject* value) {
  if (IsPythonScalar(value) || PyBytes_Check(value)) {
    const array::View one = capi::Take(array::Empty(view.dtype(), {}));
    ObjectToItem(one.dtype(), value, one.data);
    return capi::Check(array::Fill(view, one));
  }
  const Ref from = AsArrayObject(state, value, nullptr, nullptr);
  capi::Check(array::Copy(AsArray(from.get())->view, view));
}

// The dtype that a value would have as an array; bytes are one element here, not many.
DType DTypeOfValue(ModuleState* state, PyObject* value) {
  if (PyBytes_Check(value)) return DType::Bytes(std::max<int64_t>(PyBytes_GET_SIZE(value), 1));
  const Ref item = AsArrayObject(state, value, nullptr, nullptr);
  return AsArray(item.get())->view.dtype().Native();
}

Ref FullFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("full", {"shape", "fill_value", "dtype", "order"},
                                                 4, 2);
  const auto [shape, value, dtype, order] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const DType type = Given(dtype) ? DTypeFromObject(state, dtype) : DTypeOfValue(state, value);
  array::View view =
      capi::Take(array::Empty(type, ShapeFromObject(shape), false, FortranFromObject(order)));
  FillWith(state, view, value);
  return NewArray(state, std::move(view));
}

Ref OnesFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<3> kSignature("ones", {"shape", "dtype", "order"}, 3, 1);
  const auto [shape, dtype, order] = kSignature.Parse(args, nargs, kwnames);
  Ref array = MakeEmpty(module, shape, dtype, order, false);
  const Ref one = Check(PyLong_FromLong(1));
  FillWith(StateOf(module), AsArray(array.get())->view, one.get());
  return array;
}

// start + i * step, computed as NumPy does: the step is the difference of the first two values.
struct Range {
  double start, stop, step;
};

template <class T>
void FillRange(std::byte* data, int64_t count, T start, T step) {
  T* out = reinterpret_cast<T*>(data);
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<T>(start + static_cast<T>(i) * step);
}

double AsDouble(PyObject* object) {
  const double value = PyFloat_AsDouble(object);
  if (value == -1.0 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  return value;
}

// All three are integers: exact arithmetic in Python's own range object.
Ref IntegerRange(ModuleState* state, PyObject* start, PyObject* stop, PyObject* step,
                 const DType* dtype) {
  const Ref range = Check(PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PyRange_Type),
                                                       start, stop, step, nullptr));
  const Py_ssize_t count = PyObject_Size(range.get());
  if (count < 0) throw capi::PythonError{};
  array::View view = capi::Take(array::Empty(DType(Kind::kI64), {count}));
  const long long first = PyLong_AsLongLong(start), by = PyLong_AsLongLong(step);
  if ((first == -1 || by == -1) && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  FillRange<int64_t>(view.data, count, first, by);
  if (dtype != nullptr) view = capi::Take(array::CopyToNew(view, *dtype));
  return NewArray(state, std::move(view));
}

Ref ArangeFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("arange", {"start", "stop", "step", "dtype"}, 4,
                                                 1);
  auto [start, stop, step, dtype] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const Ref zero = Check(PyLong_FromLong(0)), one = Check(PyLong_FromLong(1));
  if (!Given(stop)) {
    stop = start;
    start = zero.get();
  }
  if (!Given(step)) step = one.get();
  DType wanted;
  if (Given(dtype)) wanted = DTypeFromObject(state, dtype);
  if (PyLong_Check(start) && PyLong_Check(stop) && PyLong_Check(step)) {
    return IntegerRange(state, start, stop, step, Given(dtype) ? &wanted : nullptr);
  }
  const Range range{AsDouble(start), AsDouble(stop), AsDouble(step)};
  if (range.step == 0) Raise(PyExc_ValueError, "arange() step must not be zero");
  const double length = std::ceil((range.stop - range.start) / range.step);
  if (!(length < 9.0e18)) Raise(PyExc_ValueError, "arange() of %R to %R is too long", start, stop);
  const auto count = static_cast<int64_t>(std::max(length, 0.0));
  array::View view = capi::Take(array::Empty(DType(Kind::kF64), {count}));
  FillRange<double>(view.data, count, range.start, range.step);
  if (Given(dtype)) view = capi::Take(array::CopyToNew(view, wanted));
  return NewArray(state, std::move(view));
}

// The bytes of an exporter as a one-dimensional array.
Ref FromBufferFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("frombuffer",
                                                 {"buffer", "dtype", "count", "offset"}, 4, 1);
  const auto [buffer, dtype, count_object, offset_object] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const DType type = Given(dtype) ? DTypeFromObject(state, dtype) : DType(Kind::kF64);
  const Py_ssize_t count =
      Given(count_object) ? PyNumber_AsSsize_t(count_object, PyExc_ValueError) : -1;
  const Py_ssize_t offset =
      Given(offset_object) ? PyNumber_AsSsize_t(offset_object, PyExc_ValueError) : 0;
  if (PyErr_Occurred() != nullptr) throw capi::PythonError{};
  if (!PyObject_CheckBuffer(buffer)) {
    Raise(PyExc_TypeError, "frombuffer() needs an object with a buffer, got %.200s",
          Py_TYPE(buffer)->tp_name);
  }
  Leased leased = LeaseBuffer(state, buffer);
  if (!leased.lease || !leased.view.layout.c_contiguous()) {
    Raise(PyExc_ValueError, "frombuffer() needs a C-contiguous buffer; asarray() takes any layout");
  }
  const int64_t nbytes = leased.view.layout.nbytes(), itemsize = type.itemsize();
  if (offset < 0 || offset > nbytes) {
    Raise(PyExc_ValueError, "offset %zd lies outside of the buffer of %lld bytes", offset,
          static_cast<long long>(nbytes));
  }
  if (itemsize == 0) Raise(PyExc_ValueError, "frombuffer() needs a dtype with an itemsize above 0");
  const int64_t room = (nbytes - offset) / itemsize;
  if (count < 0 && room * itemsize != nbytes - offset) {
    Raise(PyExc_ValueError, "%lld bytes behind the offset are no multiple of the itemsize %lld",
          static_cast<long long>(nbytes - offset), static_cast<long long>(itemsize));
  }
  if (count > room) {
    Raise(PyExc_ValueError, "the buffer holds %lld elements behind the offset, count is %zd",
          static_cast<long long>(room), count);
  }
  leased.view.layout = capi::Take(base::Layout::Contiguous(type, {count < 0 ? room : count}));
  leased.view.data += offset;
  return WrapLease(state, std::move(leased));
}

}  // namespace

bool FortranFromObject(PyObject* order) {
  if (!Given(order)) return false;
  const char* text = PyUnicode_Check(order) ? PyUnicode_AsUTF8(order) : nullptr;
  if (text == nullptr || (std::strcmp(text, "C") != 0 && std::strcmp(text, "F") != 0)) {
    Raise(PyExc_ValueError, "order must be 'C' or 'F', got %R", order);
  }
  return text[0] == 'F';
}

base::Dims ShapeFromObject(PyObject* object) {
  base::Dims shape;
  if (PyIndex_Check(object)) {
    const Py_ssize_t extent = PyNumber_AsSsize_t(object, PyExc_ValueError);
    if (extent == -1 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
    shape.push_back(extent);
    return shape;
  }
  const Ref items = Check(PySequence_Tuple(object));
  if (PyTuple_GET_SIZE(items.get()) > base::kMaxDims) {
    Raise(PyExc_ValueError, "an array has at most %d dimensions, got %zd", base::kMaxDims,
          PyTuple_GET_SIZE(items.get()));
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    const Py_ssize_t extent =
        PyNumber_AsSsize_t(PyTuple_GET_ITEM(items.get(), i), PyExc_ValueError);
    if (extent == -1 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
    shape.push_back(extent);
  }
  return shape;
}

Ref WrapOrNull(ModuleState* state, PyObject* object) {
  if (IsArray(state, object)) return Ref::Borrow(object);
  bool indirect = false;
  Ref array = Wrap(state, object, &indirect);
  return indirect ? CopyOfIndirect(state, object) : std::move(array);
}

Ref AsArrayObject(ModuleState* state, PyObject* object, PyObject* dtype, PyObject* copy) {
  const CopyMode mode = CopyModeFrom(copy);
  DType wanted_type;
  const DType* wanted = nullptr;
  if (Given(dtype)) {
    wanted_type = DTypeFromObject(state, dtype);
    wanted = &wanted_type;
  }
  if (IsArray(state, object)) return Converted(state, Ref::Borrow(object), wanted, mode, object);
  bool indirect = false;
  Ref array = Wrap(state, object, &indirect);
  if (indirect) {
    if (mode == CopyMode::kNever)
      RaiseNeedsCopy(object, "its buffer has suboffsets (pointers to rows)");
    return Converted(state, CopyOfIndirect(state, object), wanted, CopyMode::kIfNeeded, object);
  }
  if (array) return Converted(state, std::move(array), wanted, mode, object);
  if (mode == CopyMode::kNever) RaiseNeedsCopy(object, "it has no buffer to wrap");
  return ArrayFromSequence(state, object, wanted);
}

#define FAST(function) capi::Method<&function>(), METH_FASTCALL | METH_KEYWORDS

PyMethodDef create_functions[] = {
    {"asarray", FAST(AsArrayFunction),
     "asarray(obj, dtype=None, *, copy=None)\n--\n\n"
     "Wrap anything that exports a buffer, without copying.\n\n"
     "copy=False never copies and raises ValueError where it would have to; copy=True always "
     "does;\n"
     "None only if needed (another dtype, a list, a buffer of pointers). The address of the "
     "result\n"
     "is the exporter's, and the exporter stays alive and locked as long as the array is open."},
    {"array", FAST(ArrayFunction),
     "array(obj, dtype=None, *, copy=True)\n--\n\nasarray that copies unless told otherwise."},
    {"empty", FAST(EmptyFunction),
     "empty(shape, dtype='float64', order='C')\n--\n\n"
     "A new array on the heap, 64-byte aligned, with whatever the memory holds."},
    {"zeros", FAST(ZerosFunction),
     "zeros(shape, dtype='float64', order='C')\n--\n\nA new array of zeros."},
    {"ones", FAST(OnesFunction),
     "ones(shape, dtype='float64', order='C')\n--\n\nA new array of ones."},
    {"full", FAST(FullFunction),
     "full(shape, fill_value, dtype=None, order='C')\n--\n\n"
     "A new array with every element set to fill_value, whose dtype it takes unless one is given."},
    {"arange", FAST(ArangeFunction),
     "arange(start, stop=None, step=1, dtype=None)\n--\n\n"
     "Evenly spaced values in [start, stop); int64 if all three are integers, else float64.\n"
     "With one argument it is the stop and the start is 0."},
    {"frombuffer", FAST(FromBufferFunction),
     "frombuffer(buffer, dtype='float64', count=-1, offset=0)\n--\n\n"
     "The bytes of a C-contiguous buffer as a one-dimensional array, without copying."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
