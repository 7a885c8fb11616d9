#include "bindings/convert.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Field;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

// Elements are unaligned in general: they are always copied to and from a local.
template <class T>
T Load(const std::byte* item) {
  T value;
  std::memcpy(&value, item, sizeof value);
  return value;
}
template <class T>
void Store(std::byte* item, T value) {
  std::memcpy(item, &value, sizeof value);
}

float Bfloat16ToFloat(uint16_t bits) {
  const uint32_t wide = uint32_t{bits} << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// Round to nearest, ties to even; NaN stays NaN.
uint16_t FloatToBfloat16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

Ref NativeToObject(Kind kind, const std::byte* item) {
  switch (kind) {
    case Kind::kBool:
      return capi::Bool(Load<uint8_t>(item) != 0);
    case Kind::kI8:
      return Check(PyLong_FromLong(Load<int8_t>(item)));
    case Kind::kU8:
      return Check(PyLong_FromLong(Load<uint8_t>(item)));
    case Kind::kI16:
      return Check(PyLong_FromLong(Load<int16_t>(item)));
    case Kind::kU16:
      return Check(PyLong_FromLong(Load<uint16_t>(item)));
    case Kind::kI32:
      return Check(PyLong_FromLong(Load<int32_t>(item)));
    case Kind::kU32:
      return Check(PyLong_FromLong(Load<uint32_t>(item)));
    case Kind::kI64:
      return Check(PyLong_FromLongLong(Load<int64_t>(item)));
    case Kind::kU64:
      return Check(PyLong_FromUnsignedLongLong(Load<uint64_t>(item)));
    case Kind::kF16:
      return Check(PyFloat_FromDouble(PyFloat_Unpack2(reinterpret_cast<const char*>(item), 1)));
    case Kind::kBF16:
      return Check(PyFloat_FromDouble(Bfloat16ToFloat(Load<uint16_t>(item))));
    case Kind::kF32:
      return Check(PyFloat_FromDouble(Load<float>(item)));
    case Kind::kF64:
      return Check(PyFloat_FromDouble(Load<double>(item)));
    case Kind::kC64:
      return Check(PyComplex_FromDoubles(Load<float>(item), Load<float>(item + 4)));
    case Kind::kC128:
      return Check(PyComplex_FromDoubles(Load<double>(item), Load<double>(item + 8)));
    case Kind::kBytes:
    case Kind::kRecord:
      break;
  }
  Raise(PyExc_SystemError, "not a numeric kind");
}

void SwapBytes(const DType& dtype, std::byte* item) {
  const int unit = base::InfoOf(dtype.kind()).swap_unit;
  for (int64_t at = 0; at < dtype.itemsize(); at += unit) std::reverse(item + at, item + at + unit);
}

// Trailing zeros are not part of the value, as in NumPy.
Ref BytesToObject(const std::byte* item, int64_t width) {
  while (width > 0 && item[width - 1] == std::byte{0}) --width;
  return Check(PyBytes_FromStringAndSize(reinterpret_cast<const char*>(item), width));
}

Ref FieldToObject(const Field& field, const std::byte* item, size_t axis) {
  if (axis == field.shape.size()) return ItemToObject(field.dtype, item);
  int64_t step = field.dtype.itemsize();
  for (size_t i = axis + 1; i < field.shape.size(); ++i) step *= field.shape[i];
  Ref list = Check(PyList_New(field.shape[axis]));
  for (int64_t i = 0; i < field.shape[axis]; ++i) {
    PyList_SET_ITEM(list.get(), i, FieldToObject(field, item + i * step, axis + 1).release());
  }
  return list;
}

Ref RecordToObject(const DType& dtype, const std::byte* item) {
  Ref tuple = Check(PyTuple_New(static_cast<Py_ssize_t>(dtype.fields().size())));
  Py_ssize_t i = 0;
  for (const Field& field : dtype.fields()) {
    PyTuple_SET_ITEM(tuple.get(), i++, FieldToObject(field, item + field.offset, 0).release());
  }
  return tuple;
}

[[noreturn]] void RaiseOutOfBounds(PyObject* number, Kind kind) {
  Raise(PyExc_OverflowError, "Python integer %R is out of bounds for %s", number,
        base::InfoOf(kind).name);
}

// Any object with __index__, or a float, which is cut towards zero as NumPy does.
Ref ToPythonInt(PyObject* object) {
  if (PyFloat_Check(object)) return Check(PyNumber_Long(object));
  if (PyIndex_Check(object)) return Check(PyNumber_Index(object));
  const Ref number = Check(PyNumber_Float(object));
  return Check(PyNumber_Long(number.get()));
}

template <class T>
void StoreInteger(Kind kind, PyObject* object, std::byte* item) {
  const Ref number = ToPythonInt(object);
  if constexpr (std::is_same_v<T, uint64_t>) {
    const unsigned long long value = PyLong_AsUnsignedLongLong(number.get());
    if (value == static_cast<unsigned long long>(-1) && PyErr_Occurred() != nullptr) {
      if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw capi::PythonError{};
      PyErr_Clear();
      RaiseOutOfBounds(number.get(), kind);
    }
    Store<uint64_t>(item, value);
  } else {
    int overflow;
    const long long value = PyLong_AsLongLongAndOverflow(number.get(), &overflow);
    if (overflow != 0 || value < static_cast<long long>(std::numeric_limits<T>::min()) ||
        value > static_cast<long long>(std::numeric_limits<T>::max())) {
      RaiseOutOfBounds(number.get(), kind);
    }
    Store<T>(item, static_cast<T>(value));
  }
}

double ToDouble(PyObject* object) {
  if (PyComplex_Check(object)) {
    Raise(PyExc_TypeError, "cannot put the complex number %R into a real array", object);
  }
  return capi::Double(object);
}

void StoreHalf(double value, std::byte* item) {
  if (PyFloat_Pack2(value, reinterpret_cast<char*>(item), 1) == 0) return;
  if (!PyErr_ExceptionMatches(PyExc_OverflowError)) throw capi::PythonError{};
  PyErr_Clear();  // too large: infinity, as every other narrowing of floats
  Store<uint16_t>(item, value < 0 ? 0xFC00 : 0x7C00);
}

void ObjectToNative(Kind kind, PyObject* object, std::byte* item) {
  switch (kind) {
    case Kind::kBool:
      return Store<uint8_t>(item, capi::Truth(object));
    case Kind::kI8:
      return StoreInteger<int8_t>(kind, object, item);
    case Kind::kU8:
      return StoreInteger<uint8_t>(kind, object, item);
    case Kind::kI16:
      return StoreInteger<int16_t>(kind, object, item);
    case Kind::kU16:
      return StoreInteger<uint16_t>(kind, object, item);
    case Kind::kI32:
      return StoreInteger<int32_t>(kind, object, item);
    case Kind::kU32:
      return StoreInteger<uint32_t>(kind, object, item);
    case Kind::kI64:
      return StoreInteger<int64_t>(kind, object, item);
    case Kind::kU64:
      return StoreInteger<uint64_t>(kind, object, item);
    case Kind::kF16:
      return StoreHalf(ToDouble(object), item);
    case Kind::kBF16:
      return Store<uint16_t>(item, FloatToBfloat16(static_cast<float>(ToDouble(object))));
    case Kind::kF32:
      return Store<float>(item, static_cast<float>(ToDouble(object)));
    case Kind::kF64:
      return Store<double>(item, ToDouble(object));
    case Kind::kC64:
    case Kind::kC128: {
      const Py_complex value = PyComplex_AsCComplex(object);
      if (value.real == -1.0 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
      if (kind == Kind::kC64) {
        Store<float>(item, static_cast<float>(value.real));
        return Store<float>(item + 4, static_cast<float>(value.imag));
      }
      Store<double>(item, value.real);
      return Store<double>(item + 8, value.imag);
    }
    case Kind::kBytes:
    case Kind::kRecord:
      break;
  }
  Raise(PyExc_SystemError, "not a numeric kind");
}

void ObjectToBytes(PyObject* object, std::byte* item, int64_t width) {
  if (!PyBytes_Check(object)) {
    Raise(PyExc_TypeError, "a bytes element takes bytes, got %.200s", Py_TYPE(object)->tp_name);
  }
  const int64_t given = PyBytes_GET_SIZE(object);
  std::memset(item, 0, static_cast<size_t>(width));
  std::memcpy(item, PyBytes_AS_STRING(object), static_cast<size_t>(std::min(given, width)));
}

void ObjectToField(const Field& field, PyObject* object, std::byte* item, size_t axis) {
  if (axis == field.shape.size()) return ObjectToItem(field.dtype, object, item);
  int64_t step = field.dtype.itemsize();
  for (size_t i = axis + 1; i < field.shape.size(); ++i) step *= field.shape[i];
  const Ref items = capi::Items(object);
  if (PyTuple_GET_SIZE(items.get()) != field.shape[axis]) {
    Raise(PyExc_ValueError, "field '%s' takes %lld values along axis %zu, got %zd",
          field.name.c_str(), static_cast<long long>(field.shape[axis]), axis,
          PyTuple_GET_SIZE(items.get()));
  }
  for (int64_t i = 0; i < field.shape[axis]; ++i) {
    ObjectToField(field, PyTuple_GET_ITEM(items.get(), i), item + i * step, axis + 1);
  }
}

void ObjectToRecord(const DType& dtype, PyObject* object, std::byte* item) {
  const Ref items = capi::Items(object);
  const auto count = static_cast<Py_ssize_t>(dtype.fields().size());
  if (PyTuple_GET_SIZE(items.get()) != count) {
    Raise(PyExc_ValueError, "a record of %zd fields takes %zd values, got %zd", count, count,
          PyTuple_GET_SIZE(items.get()));
  }
  Py_ssize_t i = 0;
  for (const Field& field : dtype.fields()) {
    ObjectToField(field, PyTuple_GET_ITEM(items.get(), i++), item + field.offset, 0);
  }
}

// `data` walks the axes; below the last one stands an element.
Ref ListOf(const base::Layout& layout, const std::byte* data, int axis) {
  if (axis == layout.ndim()) return ItemToObject(layout.dtype, data);
  Ref list = Check(PyList_New(layout.shape[axis]));
  for (int64_t i = 0; i < layout.shape[axis]; ++i) {
    PyList_SET_ITEM(list.get(), i,
                    ListOf(layout, data + i * layout.strides[axis], axis + 1).release());
  }
  return list;
}

}  // namespace

Ref ItemToObject(const DType& dtype, const std::byte* item) {
  if (dtype.kind() == Kind::kBytes) return BytesToObject(item, dtype.itemsize());
  if (dtype.kind() == Kind::kRecord) return RecordToObject(dtype, item);
  if (!dtype.swapped()) return NativeToObject(dtype.kind(), item);
  std::byte native[16];
  std::memcpy(native, item, static_cast<size_t>(dtype.itemsize()));
  SwapBytes(dtype, native);
  return NativeToObject(dtype.kind(), native);
}

void ObjectToItem(const DType& dtype, PyObject* object, std::byte* item) {
  if (dtype.kind() == Kind::kBytes) return ObjectToBytes(object, item, dtype.itemsize());
  if (dtype.kind() == Kind::kRecord) return ObjectToRecord(dtype, object, item);
  std::byte native[16];
  ObjectToNative(dtype.kind(), object, native);
  if (dtype.swapped()) SwapBytes(dtype, native);
  std::memcpy(item, native, static_cast<size_t>(dtype.itemsize()));
}

Ref ViewToList(const array::View& view) { return ListOf(view.layout, view.data, 0); }

bool IsPythonScalar(PyObject* object) {
  return PyFloat_CheckExact(object) || PyLong_CheckExact(object) || PyBool_Check(object) ||
         PyComplex_CheckExact(object);
}

array::Weak WeakOf(PyObject* scalar) {
  if (PyBool_Check(scalar)) return array::Weak::kBool;
  if (PyLong_Check(scalar)) return array::Weak::kInt;
  return PyFloat_Check(scalar) ? array::Weak::kFloat : array::Weak::kComplex;
}

}  // namespace spanflow::bindings
