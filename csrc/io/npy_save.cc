// SaveNpy: the bytes of any view in the order of the file, written behind a header.
#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <utility>

#include "base/arith.h"
#include "io/npy.h"
#include "io/npy_header.h"
#include "platform/atomic_file.h"
#include "simd/kernels.h"

namespace spanflow::io {
namespace {

using array::View;
using base::Result;
using base::Status;

constexpr int64_t kBufferBytes = int64_t{1} << 20;
constexpr int64_t kBytesBetweenQuestions = int64_t{1} << 26;  // asked some ten times a second

// The file that is written, and whether to go on with it.
class Output {
 public:
  Output(platform::File& file, const platform::StopFn& stop) : file_(file), stop_(stop) {}

  Status Write(const std::byte* from, int64_t nbytes) {
    while (nbytes > 0) {
      if (unasked_ >= kBytesBetweenQuestions) {
        if (stop_ && stop_()) return Status::Cancelled();
        unasked_ = 0;
      }
      const int64_t now = std::min(nbytes, kBytesBetweenQuestions);
      SPANFLOW_TRY(file_.Write(from, now));
      from += now;
      nbytes -= now;
      unasked_ += now;
    }
    return Status::Ok();
  }

 private:
  platform::File& file_;
  const platform::StopFn& stop_;
  int64_t unasked_ = 0;  // bytes since the last question
};

// A strided view as a walk over equal runs of bytes: dimensions of size 1 dropped, trailing ones
// that lie behind one another folded into the run.
struct Walk {
  base::Dims shape;
  base::Dims strides;
  int64_t run_bytes;

  explicit Walk(const base::Layout& layout) : run_bytes(layout.dtype.itemsize()) {
    for (int i = 0; i < layout.ndim(); ++i) {
      if (layout.shape[i] == 1) continue;
      shape.push_back(layout.shape[i]);
      strides.push_back(layout.strides[i]);
    }
    while (!shape.empty() && strides[shape.size() - 1] == run_bytes) {
      run_bytes *= shape[shape.size() - 1];
      shape.resize(shape.size() - 1);
      strides.resize(shape.size());
    }
  }
};

// Collects runs in a buffer and writes it whenever it is full; long runs are written as they lie.
class RunWriter {
 public:
  RunWriter(Output& output, int64_t run_bytes)
      : output_(output),
        run_bytes_(run_bytes),
        room_(std::max<int64_t>(kBufferBytes / std::max<int64_t>(run_bytes, 1), 1)),
        buffer_(run_bytes < kBufferBytes / 4
                    ? std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(kBufferBytes))
                    : nullptr) {}

  // `count` runs, `stride` bytes apart.
  Status Add(const std::byte* from, ptrdiff_t stride, int64_t count) {
    if (buffer_ == nullptr) {
      for (int64_t i = 0; i < count; ++i)
        SPANFLOW_TRY(output_.Write(from + i * stride, run_bytes_));
      return Status::Ok();
    }
    for (int64_t done = 0; done < count;) {
      if (used_ == room_) SPANFLOW_TRY(Flush());
      const int64_t now = std::min(count - done, room_ - used_);
      simd::Gather(from + done * stride, stride, static_cast<size_t>(run_bytes_),
                   buffer_.get() + used_ * run_bytes_, static_cast<size_t>(now));
      used_ += now;
      done += now;
    }
    return Status::Ok();
  }

  Status Flush() { return output_.Write(buffer_.get(), std::exchange(used_, 0) * run_bytes_); }

 private:
  Output& output_;
  int64_t run_bytes_;
  int64_t room_;  // runs that fit into the buffer
  std::unique_ptr<std::byte[]> buffer_;
  int64_t used_ = 0;  // runs in it
};

Status WriteStrided(Output& output, const View& view) {
  if (view.size() == 0) return Status::Ok();
  const Walk walk(view.layout);
  RunWriter writer(output, walk.run_bytes);
  const int outer = walk.shape.size() - 1;  // the innermost dimension is one call
  if (outer < 0) return output.Write(view.data, walk.run_bytes);
  base::Dims at(outer, 0);
  const std::byte* row = view.data;
  for (;;) {
    SPANFLOW_TRY(writer.Add(row, walk.strides[outer], walk.shape[outer]));
    int axis = outer - 1;
    for (; axis >= 0; --axis) {
      row += walk.strides[axis];
      if (++at[axis] < walk.shape[axis]) break;
      row -= walk.strides[axis] * walk.shape[axis];
      at[axis] = 0;
    }
    if (axis < 0) return writer.Flush();
  }
}

Status MissingBytes(const View& view) {
  return Status::Os(EIO,
                    "cannot be saved: bytes of the file behind the array are gone (it became "
                    "shorter, or its disk failed)",
                    view.block->description());
}

Status WriteData(Output& output, const View& view, bool straight) {
  Status status =
      straight ? output.Write(view.data, view.layout.nbytes()) : WriteStrided(output, view);
  // The system refuses to copy from a page that it cannot have; nothing else gives this error.
  if (view.block && status.os_error() == EFAULT) return MissingBytes(view);
  return status;
}

Status WriteAndCommit(const std::string& path, const View& view, const platform::StopFn& stop) {
  const bool c_order = view.layout.c_contiguous();
  const bool fortran = !c_order && view.layout.f_contiguous();
  SPANFLOW_ASSIGN(const std::string header,
                  FormatNpyHeader(view.dtype(), view.layout.shape, fortran));
  int64_t total;
  if (!base::CheckedAdd(static_cast<int64_t>(header.size()), view.layout.nbytes(), &total)) {
    return Status::Value("shape " + base::ToString(view.layout.shape) + " is too large for a file");
  }
  SPANFLOW_ASSIGN(platform::AtomicFile atomic, platform::AtomicFile::Create(path));
  SPANFLOW_TRY(atomic.file().Reserve(total, stop));  // a full disk is known before hours of writing
  Output output(atomic.file(), stop);
  SPANFLOW_TRY(output.Write(reinterpret_cast<const std::byte*>(header.data()),
                            static_cast<int64_t>(header.size())));
  SPANFLOW_TRY(WriteData(output, view, c_order || fortran));
  // Zeros that stand for lost bytes must not replace a good file.
  if (view.block && view.block->faults() != 0) return MissingBytes(view);
  return std::move(atomic).Commit(stop);
}

}  // namespace

Status SaveNpy(const std::string& path, const View& view, const platform::StopFn& stop) {
  if (!view.block) return WriteAndCommit(path, view, stop);
  const memory::Borrow borrow(view.block.get(), memory::Borrower::kKernel);
  if (!borrow.ok()) return Status::Value("operation on a closed array");
  // A mapping that lost pages once may show zeros for ever.
  if (view.block->faults() != 0) return MissingBytes(view);
  return WriteAndCommit(path, view, stop);
}

}  // namespace spanflow::io
