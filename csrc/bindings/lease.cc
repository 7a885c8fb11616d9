#include "bindings/lease.h"

#include <new>
#include <string>

#include "bindings/dtype_object.h"
#include "capi/entry.h"
#include "platform/fault_guard.h"

namespace spanflow::bindings {
namespace {

using capi::Check;
using capi::Raise;
using capi::Ref;

// The Block inside a Lease. It is never dropped by reference count: the Lease outlives every View.
class ForeignBlock final : public memory::Block {
 public:
  ForeignBlock(std::byte* address, int64_t nbytes, bool readonly, Py_buffer* buffer,
               PyObject** owner)
      : Block(address, nbytes, memory::BlockKind::kForeign, readonly),
        range_(address, nbytes),
        buffer_(buffer),
        owner_(owner) {}
  ~ForeignBlock() override = default;

  // The exporter may show bytes of one of our own mappings (np.asarray(a)).
  uint64_t faults() const override { return range_.faults(); }
  std::string description() const override {
    return range_.guarded() ? range_.path() : Block::description();
  }

 private:
  void ReleaseBytes() noexcept override {
    PyBuffer_Release(buffer_);
    Py_CLEAR(*owner_);
  }
  void Destroy() noexcept override {}

  platform::GuardedRange range_;
  Py_buffer* buffer_;
  PyObject** owner_;
};

struct LeaseObject {
  PyObject_HEAD
  Py_buffer buffer;  // of an exporter
  PyObject* owner;   // of an __array_interface__
  bool has_block;
  alignas(ForeignBlock) std::byte block_storage[sizeof(ForeignBlock)];

  ForeignBlock* block() { return std::launder(reinterpret_cast<ForeignBlock*>(block_storage)); }
};

LeaseObject* AsLease(PyObject* self) { return reinterpret_cast<LeaseObject*>(self); }

Ref NewLease(ModuleState* state) {
  auto* lease = PyObject_GC_New(LeaseObject, state->lease_type);
  Ref self = Check(reinterpret_cast<PyObject*>(lease));
  lease->buffer = {};
  lease->owner = nullptr;
  lease->has_block = false;
  return self;
}

// Builds the block over [low, high) around `data` and tracks the lease.
memory::BlockRef AddBlock(LeaseObject* lease, std::byte* data, const base::Layout& layout,
                          bool readonly) {
  const base::Extent extent = capi::Take(base::ExtentOf(layout));
  auto* block = new (lease->block_storage) ForeignBlock(data + extent.low, extent.high - extent.low,
                                                        readonly, &lease->buffer, &lease->owner);
  lease->has_block = true;
  PyObject_GC_Track(reinterpret_cast<PyObject*>(lease));
  return memory::BlockRef::Share(block);
}

int Traverse(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(AsLease(self)->buffer.obj);
  Py_VISIT(AsLease(self)->owner);
  return 0;
}

int Clear(PyObject* self) {
  LeaseObject* lease = AsLease(self);
  // Refused while an export is alive; its consumer's own release comes first then.
  if (lease->has_block) (void)lease->block()->Close();
  return 0;
}

void Dealloc(PyObject* self) {
  PyObject_GC_UnTrack(self);
  LeaseObject* lease = AsLease(self);
  if (lease->has_block) {
    (void)lease->block()->Close();
    lease->block()->~ForeignBlock();
  } else {
    PyBuffer_Release(&lease->buffer);
  }
  PyTypeObject* type = Py_TYPE(self);
  type->tp_free(self);
  Py_DECREF(type);
}

// One-letter native formats are by far the most common; they skip the parser.
base::DType FormatOf(const Py_buffer& buffer) {
  const char* format = buffer.format == nullptr ? "B" : buffer.format;
  if (format[0] != '\0' && format[1] == '\0') {
    for (int k = 0; k < base::kNumKinds; ++k) {
      const auto& info = base::InfoOf(static_cast<base::Kind>(k));
      if (info.format[0] == format[0] && info.format[1] == '\0' &&
          info.itemsize == buffer.itemsize) {
        return base::DType(static_cast<base::Kind>(k));
      }
    }
  }
  return capi::Take(base::ParseFormat(format, buffer.itemsize));
}

// Formats of records leave things unsaid (the size of a record inside, fields that overlap). NumPy
// arrays know them: their dtype attribute is asked.
base::DType DTypeOf(ModuleState* state, const Py_buffer& buffer, PyObject* exporter) {
  base::DType dtype = FormatOf(buffer);
  if (dtype.kind() != base::Kind::kRecord) return dtype;
  const Ref own = Ref::Steal(PyObject_GetAttrString(exporter, "dtype"));
  if (!own) {
    PyErr_Clear();
    return dtype;
  }
  base::DType exact = DTypeFromObject(state, own.get());
  return exact.itemsize() == dtype.itemsize() ? exact : dtype;
}

base::Layout LayoutOf(ModuleState* state, const Py_buffer& buffer, PyObject* exporter) {
  const std::span<const int64_t> shape(buffer.shape, static_cast<size_t>(buffer.ndim));
  base::Layout layout{DTypeOf(state, buffer, exporter), base::Dims(shape), {}};
  if (buffer.strides != nullptr) {
    layout.strides = base::Dims(std::span<const int64_t>(buffer.strides, shape.size()));
  } else {
    layout.strides = base::ContiguousStrides(layout.shape, buffer.itemsize);
  }
  capi::Take(base::CheckedBytes(layout.shape, layout.dtype.itemsize()));
  return layout;
}

bool HasSuboffsets(const Py_buffer& buffer) {
  if (buffer.suboffsets == nullptr) return false;
  for (int i = 0; i < buffer.ndim; ++i) {
    if (buffer.suboffsets[i] >= 0) return true;
  }
  return false;
}

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(&Dealloc)},
                       {Py_tp_traverse, reinterpret_cast<void*>(&Traverse)},
                       {Py_tp_clear, reinterpret_cast<void*>(&Clear)},
                       {0, nullptr}};

PyObject* Item(PyObject* interface, const char* key) {
  PyObject* value = PyDict_GetItemString(interface, key);
  return value == Py_None ? nullptr : value;
}

base::Dims DimsOf(PyObject* object) {
  const Ref items = Check(PySequence_Tuple(object));
  base::Dims dims;
  if (PyTuple_GET_SIZE(items.get()) > base::kMaxDims) {
    Raise(PyExc_ValueError, "an array has at most %d dimensions, got %zd", base::kMaxDims,
          PyTuple_GET_SIZE(items.get()));
  }
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(items.get()); ++i) {
    const Py_ssize_t value = PyNumber_AsSsize_t(PyTuple_GET_ITEM(items.get(), i), PyExc_ValueError);
    if (value == -1 && PyErr_Occurred() != nullptr) throw capi::PythonError{};
    dims.push_back(value);
  }
  return dims;
}

}  // namespace

PyType_Spec lease_spec = {"spanflow._core._Lease", sizeof(LeaseObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                              Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          slots};

Leased LeaseBuffer(ModuleState* state, PyObject* exporter) {
  Ref self = NewLease(state);
  LeaseObject* lease = AsLease(self.get());
  capi::CheckStatus(PyObject_GetBuffer(exporter, &lease->buffer, PyBUF_FULL_RO));
  const Py_buffer& buffer = lease->buffer;
  if (HasSuboffsets(buffer)) return {};
  array::View view;
  view.layout = LayoutOf(state, buffer, exporter);
  view.data = static_cast<std::byte*>(buffer.buf);
  view.readonly = buffer.readonly != 0;
  view.block = AddBlock(lease, view.data, view.layout, view.readonly);
  return {std::move(self), std::move(view)};
}

Leased LeaseInterface(ModuleState* state, PyObject* owner, PyObject* interface) {
  PyObject* typestr = PyDict_Check(interface) ? Item(interface, "typestr") : nullptr;
  PyObject* shape = PyDict_Check(interface) ? Item(interface, "shape") : nullptr;
  if (typestr == nullptr || shape == nullptr) {
    Raise(PyExc_TypeError, "__array_interface__ must be a dict with 'typestr' and 'shape'; got %R",
          interface);
  }
  PyObject* descr = Item(interface, "descr");
  const char* code = PyUnicode_AsUTF8(typestr);
  if (code == nullptr) throw capi::PythonError{};
  const bool is_record = code[0] != '\0' && code[1] == 'V' && descr != nullptr;
  array::View view;
  base::DType dtype = DTypeFromObject(state, is_record ? descr : typestr);
  view.layout = capi::Take(base::Layout::Contiguous(std::move(dtype), DimsOf(shape)));
  if (PyObject* strides = Item(interface, "strides")) view.layout.strides = DimsOf(strides);
  if (view.layout.strides.size() != view.layout.ndim()) {
    Raise(PyExc_ValueError, "__array_interface__: %d strides for %d dimensions",
          view.layout.strides.size(), view.layout.ndim());
  }
  PyObject* data = Item(interface, "data");
  if (data == nullptr || !PyTuple_Check(data) || PyTuple_GET_SIZE(data) != 2) {
    Raise(PyExc_TypeError, "__array_interface__['data'] must be (address, readonly); got %R",
          data == nullptr ? Py_None : data);
  }
  view.data = static_cast<std::byte*>(PyLong_AsVoidPtr(PyTuple_GET_ITEM(data, 0)));
  if (view.data == nullptr && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  if (view.data == nullptr && view.layout.size() != 0) {
    Raise(PyExc_ValueError, "__array_interface__['data'] holds a null address");
  }
  view.readonly = PyObject_IsTrue(PyTuple_GET_ITEM(data, 1)) != 0;
  Ref self = NewLease(state);
  LeaseObject* lease = AsLease(self.get());
  lease->owner = Py_NewRef(owner);
  view.block = AddBlock(lease, view.data, view.layout, view.readonly);
  return {std::move(self), std::move(view)};
}

}  // namespace spanflow::bindings
