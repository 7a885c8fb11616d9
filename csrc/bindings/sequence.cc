// ArrayFromSequence: nested sequences to a new array. Three walks: the shape along the first
// elements, the dtype over all leaves (which also finds ragged lists), the values.
#include <string>

#include "array/copy.h"
#include "array/create.h"
#include "array/promote.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using base::DType;
using base::Kind;
using capi::Raise;
using capi::Ref;

class SequenceReader {
 public:
  SequenceReader(ModuleState* state, const DType* dtype) : state_(state), given_(dtype) {}

  Ref Read(PyObject* object) {
    FindShape(object);
    if (given_ == nullptr) FindDType(object, 0);
    const DType dtype = given_ != nullptr ? *given_ : FoundDType();
    array::View view = capi::Take(array::Empty(dtype, shape_));
    Fill(object, view);
    return NewArray(state_, std::move(view));
  }

 private:
  bool IsLeaf(PyObject* object) const {
    if (PyUnicode_Check(object) || PyBytes_Check(object) || PyByteArray_Check(object)) return true;
    if (PyTuple_Check(object) && given_ != nullptr && given_->kind() == Kind::kRecord) return true;
    return !PySequence_Check(object) || PyDict_Check(object);
  }

  // An element that is an array itself (a NumPy scalar included), or an empty Ref.
  Ref ArrayLeafOrNull(PyObject* object) const {
    if (PyBytes_Check(object) || PyByteArray_Check(object) || IsPythonScalar(object)) return {};
    return WrapOrNull(state_, object);
  }

  void FindShape(PyObject* object) {
    if (const Ref leaf = ArrayLeafOrNull(object)) {
      for (int64_t extent : AsArray(leaf.get())->view.layout.shape) PushExtent(extent);
      return;
    }
    if (IsLeaf(object)) return;
    const Ref items = capi::Items(object);
    PushExtent(capi::Count(items));
    if (capi::Count(items) != 0) FindShape(capi::At(items, 0));
  }

  void PushExtent(int64_t extent) {
    if (shape_.size() == base::kMaxDims) {
      Raise(PyExc_ValueError, "a nested sequence has at most %d dimensions", base::kMaxDims);
    }
    shape_.push_back(extent);
  }

  [[noreturn]] void RaiseRagged(int axis, int64_t found) const {
    Raise(PyExc_ValueError,
          "the nested sequence is ragged: along axis %d some rows have %lld elements, others %lld",
          axis, static_cast<long long>(shape_[axis]), static_cast<long long>(found));
  }
  [[noreturn]] void RaiseDepth(int axis) const {
    Raise(PyExc_ValueError,
          "the nested sequence is ragged: below axis %d some elements are sequences, others not",
          axis - 1);
  }

  void FindDType(PyObject* object, int axis) {
    if (const Ref leaf = ArrayLeafOrNull(object)) {
      const array::View& view = AsArray(leaf.get())->view;
      if (axis + view.ndim() != shape_.size()) RaiseDepth(axis);
      for (int i = 0; i < view.ndim(); ++i) {
        if (view.layout.shape[i] != shape_[axis + i]) RaiseRagged(axis + i, view.layout.shape[i]);
      }
      return Meet(view.dtype());
    }
    if (IsLeaf(object)) {
      if (axis != shape_.size()) RaiseDepth(axis);
      return Meet(LeafDType(object));
    }
    if (axis == shape_.size()) RaiseDepth(axis);
    const Ref items = capi::Items(object);
    if (capi::Count(items) != shape_[axis]) {
      RaiseRagged(axis, capi::Count(items));
    }
    for (Py_ssize_t i = 0; i < capi::Count(items); ++i) {
      FindDType(capi::At(items, i), axis + 1);
    }
  }

  static DType LeafDType(PyObject* object) {
    if (PyBool_Check(object)) return DType(Kind::kBool);
    if (PyFloat_Check(object)) return DType(Kind::kF64);
    if (PyComplex_Check(object)) return DType(Kind::kC128);
    if (PyBytes_Check(object)) return DType::Bytes(PyBytes_GET_SIZE(object));
    if (PyLong_Check(object)) {
      int overflow;
      (void)PyLong_AsLongLongAndOverflow(object, &overflow);
      return DType(overflow > 0 ? Kind::kU64 : Kind::kI64);
    }
    Raise(
        PyExc_TypeError,
        "cannot make an array of %.200s: arrays hold bool, int, float, complex, bytes and records",
        Py_TYPE(object)->tp_name);
  }

  void Meet(const DType& dtype) {
    if (!any_) {
      found_ = dtype.Native();
    } else if (found_.numeric() && dtype.numeric()) {
      found_ = DType(array::Promote(found_.kind(), dtype.kind()));
    } else if (found_.kind() == Kind::kBytes && dtype.kind() == Kind::kBytes) {
      if (dtype.itemsize() > found_.itemsize()) found_ = dtype;
    } else if (!(found_ == dtype)) {
      Raise(PyExc_TypeError, "a sequence cannot mix %s and %s", found_.ToString().c_str(),
            dtype.ToString().c_str());
    }
    any_ = true;
  }

  DType FoundDType() const {
    if (!any_) return DType(Kind::kF64);  // an empty list, as in NumPy
    if (found_.kind() == Kind::kBytes && found_.itemsize() == 0) return DType::Bytes(1);
    return found_;
  }

  void Fill(PyObject* object, const array::View& view) {
    if (const Ref leaf = ArrayLeafOrNull(object)) {
      const array::View& from = AsArray(leaf.get())->view;
      if (!(from.layout.shape == view.layout.shape)) RaiseDepth(shape_.size() - view.ndim());
      return capi::Check(array::Copy(from, view));
    }
    const int axis = shape_.size() - view.ndim();
    if (IsLeaf(object)) {
      if (view.ndim() != 0) RaiseDepth(axis);
      return ObjectToItem(view.dtype(), object, view.data);
    }
    if (view.ndim() == 0) RaiseDepth(axis);
    const Ref items = capi::Items(object);
    if (capi::Count(items) != shape_[axis]) {
      RaiseRagged(axis, capi::Count(items));
    }
    if (view.ndim() == 1 && FillFlat(items.get(), view)) return;
    base::Layout inner{
        view.dtype(), base::Dims(std::span(view.layout.shape.begin() + 1, view.layout.shape.end())),
        base::Dims(std::span(view.layout.strides.begin() + 1, view.layout.strides.end()))};
    for (int64_t i = 0; i < shape_[axis]; ++i) {
      Fill(capi::At(items, i), view.With(inner, i * view.layout.strides[0]));
    }
  }

  // The innermost axis without a view per element; false when some element is no plain scalar.
  bool FillFlat(PyObject* items, const array::View& view) {
    const Py_ssize_t count = PyTuple_GET_SIZE(items);
    for (Py_ssize_t i = 0; i < count; ++i) {
      if (!IsPythonScalar(PyTuple_GET_ITEM(items, i))) return false;
    }
    std::byte* at = view.data;
    for (Py_ssize_t i = 0; i < count; ++i, at += view.layout.strides[0]) {
      ObjectToItem(view.dtype(), PyTuple_GET_ITEM(items, i), at);
    }
    return true;
  }

  ModuleState* state_;
  const DType* given_;
  base::Dims shape_;
  DType found_;
  bool any_ = false;
};

}  // namespace

Ref ArrayFromSequence(ModuleState* state, PyObject* object, const DType* dtype) {
  if (PyUnicode_Check(object) || PyDict_Check(object) || PyAnySet_Check(object)) {
    Raise(PyExc_TypeError,
          "cannot make an array of %.200s: give an object with a buffer, a number, or a list of "
          "numbers",
          Py_TYPE(object)->tp_name);
  }
  return SequenceReader(state, dtype).Read(object);
}

}  // namespace spanflow::bindings
