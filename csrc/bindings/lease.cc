#include "bindings/lease.h"

#include <cstring>
#include <new>
#include <optional>
#include <string>

#include "bindings/create.h"
#include "bindings/dtype_object.h"
#include "capi/entry.h"
#include "capi/object.h"
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
    Py_CLEAR(lease->owner);
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

// The dtype that a NumPy array, or a memoryview of one, names itself; nothing where there is none
// that we have, or that fits the items.
std::optional<base::DType> OwnDType(ModuleState* state, PyObject* exporter, int64_t itemsize) {
  try {
    const Ref source = PyMemoryView_Check(exporter) ? capi::AttributeOrNull(exporter, "obj")
                                                    : Ref::Borrow(exporter);
    const Ref own = source ? capi::AttributeOrNull(source.get(), "dtype") : Ref();
    if (!own) return std::nullopt;
    base::DType dtype = DTypeFromObject(state, own.get());
    if (dtype.itemsize() == itemsize) return dtype;
  } catch (const capi::PythonError&) {
    capi::ForgetRefusal();
  }
  return std::nullopt;
}

// Formats of records leave things unsaid (the size of a record inside, padding at the end, fields
// that overlap), so the exporter is asked first.
base::DType DTypeOf(ModuleState* state, const Py_buffer& buffer, PyObject* exporter) {
  if (buffer.format != nullptr && std::strncmp(buffer.format, "T{", 2) == 0) {
    if (auto own = OwnDType(state, exporter, buffer.itemsize)) return *std::move(own);
  }
  return FormatOf(buffer);
}

// NumPy's scalars of dtypes without a format (datetime64, bytes_) export their one element as
// bytes. Python's own exporters of bytes are sequences, these are not, or are subclasses of bytes.
bool MayBeScalarAsBytes(const Py_buffer& buffer, PyObject* exporter) {
  return buffer.ndim == 1 && (buffer.format == nullptr || std::strcmp(buffer.format, "B") == 0) &&
         (!PySequence_Check(exporter) ||
          (PyBytes_Check(exporter) && !PyBytes_CheckExact(exporter)));
}

// The dtype of such a scalar, or nothing.
std::optional<base::DType> ScalarDType(ModuleState* state, const Py_buffer& buffer,
                                       PyObject* exporter) {
  const Ref own = capi::AttributeOrNull(exporter, "dtype");
  if (!own) return std::nullopt;
  base::DType dtype = DTypeFromObject(state, own.get());
  if (dtype.itemsize() != buffer.len) return std::nullopt;
  return dtype;
}

base::Layout LayoutOf(ModuleState* state, const Py_buffer& buffer, PyObject* exporter) {
  const std::span<const int64_t> shape(buffer.shape, static_cast<size_t>(buffer.ndim));
  base::Layout layout{DTypeOf(state, buffer, exporter), base::Dims(shape), {}};
  if (buffer.strides != nullptr) {
    layout.strides = base::Dims(std::span<const int64_t>(buffer.strides, shape.size()));
  } else {
    layout.strides = base::ContiguousStrides(layout.shape, buffer.itemsize);
  }
  if (MayBeScalarAsBytes(buffer, exporter)) [[unlikely]] {
    if (auto dtype = ScalarDType(state, buffer, exporter)) layout = {*std::move(dtype), {}, {}};
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

// The exporter's buffer, held by a new lease that has no block yet.
Ref NewLeaseOf(ModuleState* state, PyObject* exporter, int flags) {
  Ref self = NewLease(state);
  Py_buffer& buffer = AsLease(self.get())->buffer;
  if (PyObject_GetBuffer(exporter, &buffer, flags) < 0) {
    buffer.obj = nullptr;  // some exporters leave it set, without a reference
    throw capi::PythonError{};
  }
  return self;
}

// An entry of an __array_interface__; None says the same as nothing.
Ref Entry(PyObject* interface, const char* key) {
  Ref value = capi::EntryOrNull(interface, key);
  return value.get() == Py_None ? Ref() : std::move(value);
}

base::DType DTypeOfInterface(ModuleState* state, PyObject* interface, PyObject* typestr) {
  const Ref descr = Entry(interface, "descr");
  const std::string code = capi::Text(typestr);
  const bool is_record = code.size() > 1 && code[1] == 'V' && descr;
  return DTypeFromObject(state, is_record ? descr.get() : typestr);
}

base::Layout LayoutOfInterface(ModuleState* state, PyObject* interface) {
  const bool is_dict = PyDict_Check(interface);
  const Ref typestr = is_dict ? Entry(interface, "typestr") : Ref();
  const Ref shape = is_dict ? Entry(interface, "shape") : Ref();
  if (!typestr || !shape) {
    Raise(PyExc_TypeError, "__array_interface__ must be a dict with 'typestr' and 'shape'; got %R",
          interface);
  }
  base::DType dtype = DTypeOfInterface(state, interface, typestr.get());
  base::Layout layout =
      capi::Take(base::Layout::Contiguous(std::move(dtype), IntegersFrom(shape.get())));
  if (const Ref strides = Entry(interface, "strides")) {
    layout.strides = IntegersFrom(strides.get());
  }
  if (layout.strides.size() != layout.ndim()) {
    Raise(PyExc_ValueError, "__array_interface__: %d strides for %d dimensions",
          layout.strides.size(), layout.ndim());
  }
  return layout;
}

}  // namespace

PyType_Spec lease_spec = {"spanflow._core._Lease", sizeof(LeaseObject), 0,
                          Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_IMMUTABLETYPE |
                              Py_TPFLAGS_DISALLOW_INSTANTIATION,
                          slots};

Leased LeaseBuffer(ModuleState* state, PyObject* exporter) {
  Ref self = NewLeaseOf(state, exporter, PyBUF_FULL_RO);
  LeaseObject* lease = AsLease(self.get());
  const Py_buffer& buffer = lease->buffer;
  if (HasSuboffsets(buffer)) return {};
  array::View view;
  view.layout = LayoutOf(state, buffer, exporter);
  view.data = static_cast<std::byte*>(buffer.buf);
  view.readonly = buffer.readonly != 0;
  view.block = AddBlock(lease, view.data, view.layout, view.readonly);
  return {std::move(self), std::move(view)};
}

Leased LeaseBytes(ModuleState* state, PyObject* exporter) {
  Ref self = NewLeaseOf(state, exporter, PyBUF_SIMPLE);
  LeaseObject* lease = AsLease(self.get());
  array::View view;
  view.layout =
      capi::Take(base::Layout::Contiguous(base::DType(base::Kind::kU8), {lease->buffer.len}));
  view.data = static_cast<std::byte*>(lease->buffer.buf);
  view.readonly = lease->buffer.readonly != 0;
  view.block = AddBlock(lease, view.data, view.layout, view.readonly);
  return {std::move(self), std::move(view)};
}

Leased LeaseInterface(ModuleState* state, PyObject* owner, PyObject* interface) {
  array::View view;
  view.layout = LayoutOfInterface(state, interface);
  const Ref data = Entry(interface, "data");
  if (!data || !PyTuple_Check(data.get()) || capi::Count(data) != 2) {
    Raise(PyExc_TypeError, "__array_interface__['data'] must be (address, readonly); got %R",
          data ? data.get() : Py_None);
  }
  view.data = static_cast<std::byte*>(PyLong_AsVoidPtr(capi::At(data, 0)));
  if (view.data == nullptr && PyErr_Occurred() != nullptr) throw capi::PythonError{};
  if (view.data == nullptr && view.layout.size() != 0) {
    Raise(PyExc_ValueError, "__array_interface__['data'] holds a null address");
  }
  view.readonly = capi::Truth(capi::At(data, 1));
  Ref self = NewLease(state);
  LeaseObject* lease = AsLease(self.get());
  lease->owner = Py_NewRef(owner);
  view.block = AddBlock(lease, view.data, view.layout, view.readonly);
  return {std::move(self), std::move(view)};
}

}  // namespace spanflow::bindings
