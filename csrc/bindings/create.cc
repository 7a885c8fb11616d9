#include "bindings/create.h"

#include <algorithm>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "bindings/convert.h"
#include "bindings/dtype_object.h"
#include "bindings/lease.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Kind;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

enum class CopyMode { kIfNeeded, kAlways, kNever };

CopyMode CopyModeFrom(PyObject* copy) {
  if (!Given(copy)) return CopyMode::kIfNeeded;
  return capi::Truth(copy) ? CopyMode::kAlways : CopyMode::kNever;
}

// A contiguous copy by the exporter's own rules: the only way to read suboffsets.
Ref CopyOfIndirect(ModuleState* state, PyObject* exporter) {
  const Ref memory = Check(PyMemoryView_GetContiguous(exporter, PyBUF_READ, 'C'));
  const Leased leased = LeaseBuffer(state, memory.get());
  return CopyOf(state, leased.view, leased.view.dtype());
}

Ref InterfaceOrNull(PyObject* object) {
  return capi::AttributeOrNull(object, "__array_interface__");
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
  const Ref dtype = capi::AttributeOrNull(object, "dtype");
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
    return capi::Check(RunDetached(view.layout.nbytes(), [&] { return array::Fill(view, one); }));
  }
  const Ref from = AsArrayObject(state, value, nullptr, nullptr);
  const array::View& values = AsArray(from.get())->view;
  capi::Check(RunDetached(view.layout.nbytes(), [&] { return array::Copy(values, view); }));
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

// The bytes of an exporter, whose format does not matter.
Leased BytesOf(ModuleState* state, PyObject* buffer) {
  if (!PyObject_CheckBuffer(buffer)) {
    Raise(PyExc_TypeError, "frombuffer() needs an object with a buffer, got %.200s",
          Py_TYPE(buffer)->tp_name);
  }
  try {
    return LeaseBytes(state, buffer);
  } catch (const capi::PythonError&) {  // exporters say either
    if (!PyErr_ExceptionMatches(PyExc_BufferError) && !PyErr_ExceptionMatches(PyExc_ValueError)) {
      throw;
    }
    const Ref why = capi::TakeRaised();
    Raise(PyExc_ValueError,
          "frombuffer() needs a C-contiguous buffer (%S); asarray() takes any layout", why.get());
  }
}

// How many elements lie behind the offset; `count` of them where that is not negative.
int64_t ElementsIn(int64_t nbytes, int64_t itemsize, int64_t count, int64_t offset) {
  using Long = long long;
  if (offset < 0 || offset > nbytes) {
    Raise(PyExc_ValueError, "offset %lld lies outside of the buffer of %lld bytes", Long{offset},
          Long{nbytes});
  }
  if (itemsize == 0) Raise(PyExc_ValueError, "frombuffer() needs a dtype with an itemsize above 0");
  const int64_t room = (nbytes - offset) / itemsize;
  if (count < 0 && room * itemsize != nbytes - offset) {
    Raise(PyExc_ValueError, "%lld bytes behind the offset are no multiple of the itemsize %lld",
          Long{nbytes - offset}, Long{itemsize});
  }
  if (count > room) {
    Raise(PyExc_ValueError, "the buffer holds %lld elements behind the offset, count is %lld",
          Long{room}, Long{count});
  }
  return count < 0 ? room : count;
}

Ref FromBufferFunction(PyObject* module, PyObject* const* args, Py_ssize_t nargs,
                       PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("frombuffer",
                                                 {"buffer", "dtype", "count", "offset"}, 4, 1);
  const auto [buffer, dtype, count_object, offset_object] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  const DType type = Given(dtype) ? DTypeFromObject(state, dtype) : DType(Kind::kF64);
  const int64_t count = Given(count_object) ? capi::Integer(count_object, PyExc_ValueError) : -1;
  const int64_t offset = Given(offset_object) ? capi::Integer(offset_object, PyExc_ValueError) : 0;
  Leased leased = BytesOf(state, buffer);
  const int64_t elements = ElementsIn(leased.view.layout.nbytes(), type.itemsize(), count, offset);
  leased.view.layout = capi::Take(base::Layout::Contiguous(type, {elements}));
  leased.view.data += offset;
  return WrapLease(state, std::move(leased));
}

}  // namespace

Ref CopyOf(ModuleState* state, const array::View& view, const DType& dtype, array::CastHow how) {
  const bool fortran = view.layout.is_fortran();
  // What is read or what is written, whichever is more.
  const int64_t written = std::min(view.size(), kDetachBytes) * dtype.itemsize();
  return NewArray(state, capi::Take(RunDetached(std::max(view.layout.nbytes(), written), [&] {
                    return array::CopyToNew(view, dtype, fortran, {}, how);
                  })));
}

bool FortranFromObject(PyObject* order) {
  if (!Given(order)) return false;
  const std::string code = PyUnicode_Check(order) ? capi::Text(order) : "";
  if (code != "C" && code != "F") {
    Raise(PyExc_ValueError, "order must be 'C' or 'F', got %R", order);
  }
  return code == "F";
}

base::Dims IntegersFrom(PyObject* const* objects, Py_ssize_t count) {
  if (count > base::kMaxDims) {
    Raise(PyExc_ValueError, "an array has at most %d dimensions, got %zd", base::kMaxDims, count);
  }
  base::Dims values;
  for (Py_ssize_t i = 0; i < count; ++i) {
    values.push_back(capi::Integer(objects[i], PyExc_ValueError));
  }
  return values;
}

base::Dims IntegersFrom(PyObject* iterable) {
  const Ref items = capi::Items(iterable);
  return IntegersFrom(&PyTuple_GET_ITEM(items.get(), 0), capi::Count(items));
}

base::Dims ShapeFromObject(PyObject* object) {
  return PyIndex_Check(object) ? IntegersFrom(&object, 1) : IntegersFrom(object);
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
    {"arange", FAST(Arange),
     "arange(start, stop=None, step=1, dtype=None)\n--\n\n"
     "Evenly spaced values in [start, stop), one-dimensional; one argument is the stop.\n\n"
     "int64 (uint64 beyond it) if all three are integers, NumPy's among them; else float64, with\n"
     "NumPy's values and length. dtype may be any other to which these cast. Raises ValueError\n"
     "for a step of 0 or a range that is too long, OverflowError for integers beyond 64 bits."},
    {"frombuffer", FAST(FromBufferFunction),
     "frombuffer(buffer, dtype='float64', count=-1, offset=0)\n--\n\n"
     "The bytes of a C-contiguous buffer as a one-dimensional array, without copying.\n\n"
     "The exporter's own format does not matter. count is how many elements of dtype are taken\n"
     "(-1: all), from offset bytes on. The array is read-only if the exporter is. Raises\n"
     "TypeError for what has no buffer, ValueError for a buffer that is not C-contiguous, or a\n"
     "count or an offset that does not fit its size."},
    {nullptr, nullptr, 0, nullptr}};

}  // namespace spanflow::bindings
