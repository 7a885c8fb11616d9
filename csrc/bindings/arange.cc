// arange(): integers exactly, floats with NumPy's values and length.
#include <algorithm>
#include <cmath>

#include "array/copy.h"
#include "array/create.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "bindings/operation.h"
#include "capi/args.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::View;
using base::DType;
using base::Kind;
using capi::Check;
using capi::Given;
using capi::Raise;
using capi::Ref;

// start + i * step for every element.
template <class T>
void FillRange(const View& view, T start, T step) {
  T* out = reinterpret_cast<T*>(view.data);
  const int64_t count = view.size();
  RunDetached(view.layout.nbytes(), [=] {
    for (int64_t i = 0; i < count; ++i) out[i] = start + static_cast<T>(i) * step;
  });
}

View CastTo(View view, const DType* dtype) {
  if (dtype == nullptr || *dtype == view.dtype()) return view;
  return capi::Take(
      RunDetached(view.layout.nbytes(), [&] { return array::CopyToNew(view, *dtype); }));
}

// Exactly, in Python's own range. Values beyond int64 are uint64 where all of them fit. The sums
// are taken modulo 2**64, since i * step may leave it where the sum does not.
View IntegerRange(PyObject* start, PyObject* stop, PyObject* step) {
  const Ref range = Check(PyObject_CallFunctionObjArgs(reinterpret_cast<PyObject*>(&PyRange_Type),
                                                       start, stop, step, nullptr));
  const Py_ssize_t count = PyObject_Size(range.get());
  if (count < 0) throw capi::PythonError{};
  if (count == 0) return capi::Take(array::Empty(DType(Kind::kI64), {0}));
  const Ref last = Check(PySequence_GetItem(range.get(), count - 1));
  Kind kind = Kind::kI64;
  for (PyObject* end : {start, last.get()}) {
    int overflow;
    (void)PyLong_AsLongLongAndOverflow(end, &overflow);
    if (overflow > 0) kind = Kind::kU64;
  }
  std::byte scratch[8];
  for (PyObject* end : {start, last.get()}) ObjectToItem(DType(kind), end, scratch);  // do they fit
  const auto modulo = [](PyObject* number) {
    const unsigned long long value = PyLong_AsUnsignedLongLongMask(number);
    if (value == ~0ULL && PyErr_Occurred() != nullptr) throw capi::PythonError{};
    return uint64_t{value};
  };
  View view = capi::Take(array::Empty(DType(kind), {count}));
  FillRange<uint64_t>(view, modulo(start), modulo(step));
  return view;
}

int64_t FloatLength(double start, double stop, double step) {
  const double length = (stop - start) / step;
  if (step == 0 || std::isnan(length)) {
    Raise(PyExc_ValueError,
          "arange(): the step must be a number other than 0, and start and stop "
          "must be numbers");
  }
  // So small that the quotient vanished: the start alone, if it lies before the stop.
  if (length == 0 && stop != start) return std::signbit(length) ? 0 : 1;
  if (!(length < 9.0e18)) Raise(PyExc_ValueError, "arange(): the range is too long");
  return length > 0 ? static_cast<int64_t>(std::ceil(length)) : 0;
}

// As NumPy: the step is the difference of the first two values, rounded to the dtype.
template <class T>
View FloatRange(Kind kind, int64_t count, double start, double next) {
  View view = capi::Take(array::Empty(DType(kind), {count}));
  const T both[] = {static_cast<T>(start), static_cast<T>(next)};
  FillRange<T>(view, both[0], both[1] - both[0]);
  std::copy_n(both, std::min<int64_t>(count, 2), reinterpret_cast<T*>(view.data));
  return view;
}

// Its __index__ where there is one that works (NumPy's integers), else itself.
Ref IntegerOrItself(PyObject* object) {
  if (!PyIndex_Check(object)) return Ref::Borrow(object);
  try {
    return Check(PyNumber_Index(object));
  } catch (const capi::PythonError&) {  // 0-d arrays of floats have the slot as well
    capi::ForgetRefusal();
    return Ref::Borrow(object);
  }
}

}  // namespace

Ref Arange(PyObject* module, PyObject* const* args, Py_ssize_t nargs, PyObject* kwnames) {
  static constexpr capi::Signature<4> kSignature("arange", {"start", "stop", "step", "dtype"}, 4,
                                                 1);
  const auto [first, second, third, dtype] = kSignature.Parse(args, nargs, kwnames);
  ModuleState* state = StateOf(module);
  DType dtype_value;
  const DType* wanted = nullptr;
  if (Given(dtype)) wanted = &(dtype_value = DTypeFromObject(state, dtype));
  const bool only_stop = !Given(second);
  const Ref start = only_stop ? Check(PyLong_FromLong(0)) : IntegerOrItself(first);
  const Ref stop = IntegerOrItself(only_stop ? first : second);
  const Ref step = Given(third) ? IntegerOrItself(third) : Check(PyLong_FromLong(1));
  if (PyLong_Check(start.get()) && PyLong_Check(stop.get()) && PyLong_Check(step.get())) {
    return NewArray(state, CastTo(IntegerRange(start.get(), stop.get(), step.get()), wanted));
  }
  const double from = capi::Double(start.get()), by = capi::Double(step.get());
  const int64_t count = FloatLength(from, capi::Double(stop.get()), by);
  const bool single = wanted != nullptr && wanted->kind() == Kind::kF32;
  View view = single ? FloatRange<float>(Kind::kF32, count, from, from + by)
                     : FloatRange<double>(Kind::kF64, count, from, from + by);
  return NewArray(state, CastTo(std::move(view), wanted));
}

}  // namespace spanflow::bindings
