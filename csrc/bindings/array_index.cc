// Indexing of spanflow.Array: a[key] and a[key] = value.
//   integers, slices, None, ... and field names give views (elements, where nothing is left)
//   boolean and integer arrays (NumPy arrays and lists too) give copies
#include <vector>

#include "array/copy.h"
#include "array/create.h"
#include "array/index.h"
#include "array/select.h"
#include "bindings/convert.h"
#include "bindings/create.h"
#include "bindings/operation.h"
#include "capi/entry.h"
#include "capi/object.h"

namespace spanflow::bindings {
namespace {

using array::IndexItem;
using array::View;
using base::Kind;
using capi::Check;
using capi::Raise;
using capi::Ref;

int64_t IndexValue(PyObject* object) { return capi::Integer(object, PyExc_IndexError); }

IndexItem SliceItem(PyObject* slice, int64_t extent) {
  Py_ssize_t start, stop, step;
  capi::CheckStatus(PySlice_Unpack(slice, &start, &stop, &step));
  const Py_ssize_t count = PySlice_AdjustIndices(extent, &start, &stop, step);
  return IndexItem::Slice(start, step, count);
}

std::string_view FieldName(PyObject* name) {
  Py_ssize_t size;
  const char* text = PyUnicode_AsUTF8AndSize(name, &size);
  if (text == nullptr) throw capi::PythonError{};
  return {text, static_cast<size_t>(size)};
}

// A key, read once: basic items, and the index arrays that stand among them.
struct Key {
  std::vector<Ref> keep;         // what foreign arrays need, so it goes after them
  std::vector<IndexItem> items;  // an index array stands as a full slice
  std::vector<View> arrays;      // masks were already turned into integer arrays
  size_t first_array = 0;        // item positions
  size_t last_array = 0;
  bool lone_mask = false;  // a[mask] and nothing else
};

class KeyReader {
 public:
  explicit KeyReader(ArrayObject* self) : self_(self) {}

  Key Read(PyObject* key) {
    if (PyTuple_Check(key)) {
      for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(key); ++i) Add(PyTuple_GET_ITEM(key, i), false);
    } else {
      Add(key, true);
    }
    if (key_.lone_mask) return std::move(key_);
    SetSlices();
    for (const Mask& mask : masks_) CheckMask(mask);
    return std::move(key_);
  }

 private:
  struct Mask {
    size_t item;  // position of the first of its index arrays
    base::Dims shape;
  };

  void Add(PyObject* item, bool lone) {
    if (PyBool_Check(item)) {
      Raise(PyExc_IndexError, "True and False are no indices; use 1 and 0, or a mask array");
    }
    if (PySlice_Check(item)) return AddBasic(IndexItem{}, item);
    if (item == Py_None) return AddBasic(IndexItem::NewAxis());
    if (item == Py_Ellipsis) return AddBasic(IndexItem::Ellipsis());
    if (PyUnicode_Check(item)) return AddBasic(IndexItem::Field(FieldName(item)));
    if (!IsArray(self_->state, item) && PyIndex_Check(item) && !PyObject_CheckBuffer(item)) {
      return AddBasic(IndexItem::Integer(IndexValue(item)));
    }
    AddArray(item, lone);
  }

  void AddBasic(IndexItem item, PyObject* slice = nullptr) {
    key_.items.push_back(item);
    slices_.push_back(slice);
  }

  void AddArray(PyObject* item, bool lone) {
    Ref object = AsArrayObject(self_->state, item, nullptr, nullptr);
    CheckOpen(AsArray(object.get()));
    const View& view = AsArray(object.get())->view;
    const Kind kind = view.dtype().kind();
    const bool empty_list = view.size() == 0 && PyList_Check(item);
    if (kind == Kind::kBool) {
      if (lone) {
        key_.lone_mask = true;
        key_.arrays.push_back(view);
      } else {
        masks_.push_back({key_.items.size(), view.layout.shape});
        for (View& index : capi::Take(array::Nonzero(view))) AddIndices(std::move(index));
      }
    } else if (base::IsInteger(kind) && view.ndim() == 0) {
      const Ref value = ReadItem(view, view.data);  // a NumPy integer
      AddBasic(IndexItem::Integer(IndexValue(value.get())));
    } else if (base::IsInteger(kind) || empty_list) {
      View indices = view;
      if (empty_list) indices = capi::Take(array::Empty(base::DType(Kind::kI64), {0}));
      AddIndices(std::move(indices));
    } else {
      Raise(PyExc_IndexError, "arrays used as indices must be of integer or boolean dtype, got %s",
            view.dtype().ToString().c_str());
    }
    key_.keep.push_back(std::move(object));
  }

  void AddIndices(View indices) {
    if (key_.arrays.empty()) key_.first_array = key_.items.size();
    key_.last_array = key_.items.size();
    key_.arrays.push_back(std::move(indices));
    AddBasic(IndexItem{}, nullptr);
  }

  // Slices can only be cut to their axis once it is known where the ellipsis leads.
  void SetSlices() {
    const int ndim = self_->view.ndim();
    for (size_t i = 0; i < key_.items.size(); ++i) {
      IndexItem& item = key_.items[i];
      if (item.kind != IndexItem::Kind::kSlice) continue;
      const int axis = array::AxisOf(key_.items, i, ndim);
      if (axis < 0 || axis >= ndim) {
        Raise(PyExc_IndexError,
              "too many indices for array: array is %d-dimensional, but %zu were indexed", ndim,
              CountIndexed());
      }
      const int64_t extent = self_->view.layout.shape[axis];
      item = slices_[i] != nullptr ? SliceItem(slices_[i], extent) : IndexItem::Slice(0, 1, extent);
    }
  }

  // A mask covers as many axes as it has, which must have its extents.
  void CheckMask(const Mask& mask) const {
    const int axis = array::AxisOf(key_.items, mask.item, self_->view.ndim());
    for (int i = 0; i < mask.shape.size(); ++i) {
      const int64_t extent = self_->view.layout.shape[axis + i];
      if (mask.shape[i] == extent) continue;
      Raise(
          PyExc_IndexError,
          "boolean index did not match indexed array along axis %d; size of axis is %lld but size "
          "of corresponding boolean axis is %lld",
          axis + i, static_cast<long long>(extent), static_cast<long long>(mask.shape[i]));
    }
  }

  size_t CountIndexed() const {
    size_t count = 0;
    for (const IndexItem& item : key_.items) {
      count += item.kind == IndexItem::Kind::kSlice || item.kind == IndexItem::Kind::kInteger;
    }
    return count;
  }

  ArrayObject* self_;
  Key key_;
  std::vector<PyObject*> slices_;
  std::vector<Mask> masks_;
};

// Where the axes of the index arrays lie in the view that the basic items give.
int ArrayAxis(const Key& key, int ndim) {
  if (key.last_array - key.first_array + 1 != key.arrays.size()) {
    Raise(PyExc_IndexError,
          "index arrays must stand side by side; move their axes together with transpose() first");
  }
  bool separated_integer = false;
  for (size_t i = 0; i < key.items.size(); ++i) {
    const bool neighbour = i + 1 == key.first_array || i == key.last_array + 1;
    if (key.items[i].kind == IndexItem::Kind::kInteger && !neighbour) separated_integer = true;
  }
  if (separated_integer) {
    Raise(PyExc_IndexError,
          "an integer and an index array must stand side by side; index with the integer first, as "
          "in a[0][:, indices]");
  }
  int axis = 0;
  for (size_t i = 0; i < key.first_array; ++i) {
    switch (key.items[i].kind) {
      case IndexItem::Kind::kSlice:
      case IndexItem::Kind::kNewAxis:
        ++axis;
        break;
      case IndexItem::Kind::kEllipsis:
        axis += array::AxisOf(key.items, i + 1, ndim) - array::AxisOf(key.items, i, ndim);
        break;
      case IndexItem::Kind::kInteger:
      case IndexItem::Kind::kField:
        break;
    }
  }
  return axis;
}

// Views of records stay arrays, so that a[0]["x"] = 1 works; any other lone element is its value.
bool IsElement(const View& view) {
  return view.ndim() == 0 && view.dtype().kind() != Kind::kRecord;
}

Ref ElementOrView(ArrayObject* self, View view, bool element) {
  if (!element || !IsElement(view)) return NewView(self, std::move(view));
  return ReadItem(view, view.data);
}

bool HasEllipsis(const Key& key) {
  for (const IndexItem& item : key.items) {
    if (item.kind == IndexItem::Kind::kEllipsis) return true;
  }
  return false;
}

// a[i:j] without a Key: the most frequent view is cut inside its new object.
Ref SliceFirstAxis(ArrayObject* self, PyObject* slice) {
  const IndexItem item = SliceItem(slice, self->view.layout.shape[0]);
  Ref object = NewView(self);
  View& view = AsArray(object.get())->view;
  if (item.count > 0) view.data += item.start * view.layout.strides[0];
  view.layout.shape[0] = item.count;
  view.layout.strides[0] *= item.step;
  return object;
}

// a[i] of a one-dimensional array, where it is an element; null when the key is anything else or
// out of bounds, which the full path words.
std::byte* ElementOrNull(ArrayObject* self, PyObject* key) {
  const base::Layout& layout = self->view.layout;
  if (layout.ndim() != 1 || !PyLong_CheckExact(key) || layout.dtype.kind() == Kind::kRecord) {
    return nullptr;
  }
  Py_ssize_t index = PyLong_AsSsize_t(key);
  if (index == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    return nullptr;
  }
  if (index < 0) index += layout.shape[0];
  if (index < 0 || index >= layout.shape[0]) return nullptr;
  return self->view.data + index * layout.strides[0];
}

// Whether `value` is one element of `dtype`, as opposed to an array of them.
bool IsElementOf(const base::DType& dtype, PyObject* value) {
  if (dtype.kind() == Kind::kBytes) return PyBytes_Check(value);
  if (dtype.kind() == Kind::kRecord) return PyTuple_Check(value);
  return IsPythonScalar(value);
}

// What is assigned, as an array. Python's own values are read as elements of `dtype`, so that those
// which do not fit it are an error, as everywhere else.
Ref ValuesFor(ModuleState* state, const base::DType& dtype, PyObject* value) {
  if (IsElementOf(dtype, value)) {
    View one = capi::Take(array::Empty(dtype, {}));
    ObjectToItem(dtype, value, one.data);
    return NewArray(state, std::move(one));
  }
  Ref values = PyList_Check(value) || PyTuple_Check(value)
                   ? ArrayFromSequence(state, value, &dtype)
                   : AsArrayObject(state, value, nullptr, nullptr);
  CheckOpen(AsArray(values.get()));
  return values;
}

void Assign(ArrayObject* self, const View& target, PyObject* value) {
  if (target.ndim() == 0 && IsElementOf(target.dtype(), value)) {
    return WriteItem(target, target.data, value);
  }
  const Ref from = ValuesFor(self->state, target.dtype(), value);
  const View& values = AsArray(from.get())->view;
  capi::Check(RunDetached(target.layout.nbytes(), [&] {
    return values.ndim() == 0 && values.dtype() == target.dtype() ? array::Fill(target, values)
                                                                  : array::Copy(values, target);
  }));
}

}  // namespace

Ref ArrayItem(PyObject* object, Py_ssize_t index) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  const IndexItem item = IndexItem::Integer(index);
  return ElementOrView(self, capi::Take(array::Index(self->view, {&item, 1})), true);
}

Ref ArraySubscript(PyObject* object, PyObject* key_object) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  if (PySlice_Check(key_object) && self->view.ndim() > 0) return SliceFirstAxis(self, key_object);
  if (const std::byte* item = ElementOrNull(self, key_object)) return ReadItem(self->view, item);
  const Key key = KeyReader(self).Read(key_object);
  if (key.lone_mask) {
    View selected = capi::Take(RunDetached(
        self->view.layout.nbytes(), [&] { return array::Compress(self->view, key.arrays[0]); }));
    return NewArray(self->state, std::move(selected));
  }
  View view = capi::Take(array::Index(self->view, key.items));
  if (key.arrays.empty()) return ElementOrView(self, std::move(view), !HasEllipsis(key));
  const int axis = ArrayAxis(key, self->view.ndim());
  View taken = capi::Take(
      RunDetached(view.layout.nbytes(), [&] { return array::Take(view, key.arrays, axis); }));
  return NewArray(self->state, std::move(taken));
}

int ArrayAssignSubscript(PyObject* object, PyObject* key_object, PyObject* value) {
  ArrayObject* self = AsArray(object);
  CheckOpen(self);
  if (value == nullptr) Raise(PyExc_TypeError, "elements of an array cannot be deleted");
  CheckWritable(self->view);
  if (std::byte* item = ElementOrNull(self, key_object); item && IsPythonScalar(value)) {
    WriteItem(self->view, item, value);
    return 0;
  }
  const Key key = KeyReader(self).Read(key_object);
  if (key.arrays.empty()) {
    Assign(self, capi::Take(array::Index(self->view, key.items)), value);
    return 0;
  }
  if (key.lone_mask) {
    const Ref values = ValuesFor(self->state, self->view.dtype(), value);
    capi::Check(RunDetached(self->view.layout.nbytes(), [&] {
      return array::PutMask(self->view, key.arrays[0], AsArray(values.get())->view);
    }));
    return 0;
  }
  const View view = capi::Take(array::Index(self->view, key.items));
  const int axis = ArrayAxis(key, self->view.ndim());
  const Ref values = ValuesFor(self->state, view.dtype(), value);
  capi::Check(RunDetached(view.layout.nbytes(), [&] {
    return array::Put(view, key.arrays, axis, AsArray(values.get())->view);
  }));
  return 0;
}

}  // namespace spanflow::bindings
