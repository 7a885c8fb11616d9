// The buffer protocol of spanflow.Array: every request of PEP 3118, answered as CPython's own
// test_buffer demands. What is refused, and why:
//   WRITABLE of a read-only array · a contiguity that the array has not · a request without strides
//   of an array that is not C-contiguous · FORMAT without ND · PyBUF_READ or PyBUF_WRITE, which are
//   not request flags · a null Py_buffer.
#include "bindings/array_object.h"
#include "platform/fault_guard.h"

namespace spanflow::bindings {
namespace {

// Flags are sets of bits that contain one another: equality under the mask, never truth.
bool Wants(int flags, int request) { return (flags & request) == request; }

// The reason to refuse `flags`, or null.
const char* Refusal(const array::View& view, int flags) {
  if ((flags & PyBUF_FORMAT) != 0 && (flags & PyBUF_ND) == 0) {
    return "a format was requested without a shape (PyBUF_FORMAT needs PyBUF_ND)";
  }
  if (flags == PyBUF_READ || flags == PyBUF_WRITE) {
    return "PyBUF_READ and PyBUF_WRITE are not request flags";
  }
  if (Wants(flags, PyBUF_WRITABLE) && view.readonly) {
    return "a writable buffer was requested of a read-only array";
  }
  const bool c_order = view.layout.c_contiguous();
  if (Wants(flags, PyBUF_C_CONTIGUOUS) && !c_order) return "the array is not C-contiguous";
  if (Wants(flags, PyBUF_F_CONTIGUOUS) && !view.layout.f_contiguous()) {
    return "the array is not Fortran-contiguous";
  }
  if (Wants(flags, PyBUF_ANY_CONTIGUOUS) && !c_order && !view.layout.f_contiguous()) {
    return "the array is not contiguous";
  }
  if (!Wants(flags, PyBUF_STRIDES) && !c_order) {
    return "the array is not C-contiguous and the request is without strides";
  }
  return nullptr;
}

void FillBuffer(ArrayObject* self, Py_buffer* buffer, int flags) {
  array::View& view = self->view;
  buffer->buf = view.data;
  buffer->len = view.layout.nbytes();
  buffer->itemsize = view.dtype().itemsize();
  buffer->readonly = view.readonly ? 1 : 0;
  buffer->ndim = 1;  // as CPython's own exporters say where no shape was requested
  buffer->format = nullptr;
  buffer->shape = nullptr;
  buffer->strides = nullptr;
  buffer->suboffsets = nullptr;
  buffer->internal = nullptr;
  if (Wants(flags, PyBUF_FORMAT)) buffer->format = const_cast<char*>(view.dtype().format());
  if (!Wants(flags, PyBUF_ND)) return;
  buffer->ndim = view.ndim();
  if (view.ndim() == 0) return;
  static_assert(std::is_same_v<Py_ssize_t, int64_t>);
  buffer->shape = view.layout.shape.data();
  if (Wants(flags, PyBUF_STRIDES)) buffer->strides = view.layout.strides.data();
}

}  // namespace

int ArrayGetBuffer(PyObject* object, Py_buffer* buffer, int flags) noexcept {
  if (buffer == nullptr) {
    PyErr_SetString(PyExc_BufferError, "a buffer was requested into a null Py_buffer");
    return -1;
  }
  buffer->obj = nullptr;
  ArrayObject* self = AsArray(object);
  if (const char* reason = Refusal(self->view, flags)) {
    PyErr_SetString(PyExc_BufferError, reason);
    return -1;
  }
  if (!self->view.block->TryBorrow(memory::Borrower::kExport)) {
    if (self->view.block->closed()) {
      PyErr_SetString(PyExc_ValueError, "operation on a closed array");
    } else {
      PyErr_Format(PyExc_BufferError,
                   "the bytes are exported %lld times, which is the most; release some buffers",
                   static_cast<long long>(self->view.block->borrows(memory::Borrower::kExport)));
    }
    return -1;
  }
  // The consumer reads without us: nobody else would put the guard back in front before that.
  if (self->view.block->kind() != memory::BlockKind::kHeap) platform::EnsureFaultGuard();
  FillBuffer(self, buffer, flags);
  buffer->obj = Py_NewRef(object);
  return 0;
}

void ArrayReleaseBuffer(PyObject* object, Py_buffer*) noexcept {
  AsArray(object)->view.block->Return(memory::Borrower::kExport);
}

}  // namespace spanflow::bindings
