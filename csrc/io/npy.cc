#include "io/npy.h"

#include <utility>

#include "base/arith.h"
#include "io/npy_header.h"
#include "platform/atomic_file.h"

namespace spanflow::io {
namespace {

using array::View;
using base::Result;
using base::Status;

Result<View> MapView(platform::File file, memory::MapMode mode, base::Layout layout,
                     int64_t offset) {
  const int64_t nbytes = layout.nbytes();
  SPANFLOW_ASSIGN(memory::BlockRef block, memory::MapFile(std::move(file), mode, offset, nbytes));
  std::byte* data = block->address();
  return View{std::move(block), data, std::move(layout), mode == memory::MapMode::kRead};
}

// All elements that the file holds from `offset` on.
Result<base::Dims> WholeFile(int64_t size, int64_t offset, const base::DType& dtype) {
  const int64_t nbytes = size - offset;
  if (dtype.itemsize() == 0) {
    return Status::Value("dtype '" + dtype.ToString() + "' has no bytes: say the shape");
  }
  if (nbytes % dtype.itemsize() == 0) return base::Dims{nbytes / dtype.itemsize()};
  return Status::Value("has " + std::to_string(nbytes) + " bytes from byte " +
                       std::to_string(offset) + " on, which is not a multiple of the " +
                       std::to_string(dtype.itemsize()) + " bytes of dtype " + dtype.ToString());
}

Result<base::Layout> RawLayout(int64_t size, const base::DType& dtype,
                               const std::optional<base::Dims>& shape, int64_t offset,
                               bool fortran) {
  if (offset < 0) return Status::Value("offset " + std::to_string(offset) + " is negative");
  if (offset > size) {
    return Status::Value("offset " + std::to_string(offset) + " is past the end: the file has " +
                         std::to_string(size) + " bytes");
  }
  base::Dims wanted;
  if (shape) {
    wanted = *shape;
  } else {
    SPANFLOW_ASSIGN(wanted, WholeFile(size, offset, dtype));
  }
  SPANFLOW_ASSIGN(base::Layout layout, fortran ? base::Layout::FortranContiguous(dtype, wanted)
                                               : base::Layout::Contiguous(dtype, wanted));
  if (layout.nbytes() <= size - offset) return layout;
  return Status::Value("shape " + base::ToString(wanted) + " of dtype " + dtype.ToString() +
                       " needs " + std::to_string(layout.nbytes()) + " bytes, but only " +
                       std::to_string(size - offset) + " are there from byte " +
                       std::to_string(offset) + " on");
}

}  // namespace

Result<NpyHeader> ReadNpyHeader(const std::string& path) {
  SPANFLOW_ASSIGN(const platform::File file, platform::File::Open(path, platform::OpenMode::kRead));
  return ReadNpyHeader(file);
}

Result<View> OpenNpy(const std::string& path, memory::MapMode mode) {
  SPANFLOW_ASSIGN(platform::File file, platform::File::Open(path, memory::OpenModeFor(mode)));
  SPANFLOW_ASSIGN(NpyHeader header, ReadNpyHeader(file));
  return MapView(std::move(file), mode, std::move(header.layout), header.data_offset);
}

Result<View> OpenRaw(const std::string& path, memory::MapMode mode, const base::DType& dtype,
                     const std::optional<base::Dims>& shape, int64_t offset, bool fortran) {
  SPANFLOW_ASSIGN(platform::File file, platform::File::Open(path, memory::OpenModeFor(mode)));
  SPANFLOW_ASSIGN(const int64_t size, file.Size());
  Result<base::Layout> layout = RawLayout(size, dtype, shape, offset, fortran);
  if (!layout.ok()) {
    return Status(layout.status().code(), "'" + path + "': " + layout.status().message());
  }
  return MapView(std::move(file), mode, *std::move(layout), offset);
}

Result<View> OpenStrided(const std::string& path, memory::MapMode mode, base::Layout layout,
                         int64_t offset) {
  SPANFLOW_ASSIGN(const base::Extent extent, base::ExtentOf(layout));
  int64_t first;
  if (!base::CheckedAdd(offset, extent.low, &first) || first < 0) {
    return Status::Value("'" + path + "': elements would lie before the begin of the file");
  }
  SPANFLOW_ASSIGN(memory::BlockRef block,
                  memory::MapFile(path, mode, first, extent.high - extent.low));
  std::byte* data = block->address() - extent.low;
  return View{std::move(block), data, std::move(layout), mode == memory::MapMode::kRead};
}

Result<View> CreateNpy(const std::string& path, const base::DType& dtype, const base::Dims& shape,
                       bool fortran, const platform::StopFn& stop) {
  SPANFLOW_ASSIGN(base::Layout layout, fortran ? base::Layout::FortranContiguous(dtype, shape)
                                               : base::Layout::Contiguous(dtype, shape));
  SPANFLOW_ASSIGN(const std::string header, FormatNpyHeader(dtype, shape, fortran));
  const auto offset = static_cast<int64_t>(header.size());
  int64_t total;
  if (!base::CheckedAdd(offset, layout.nbytes(), &total)) {
    return Status::Value("shape " + base::ToString(shape) + " is too large for a file");
  }
  SPANFLOW_ASSIGN(platform::AtomicFile atomic, platform::AtomicFile::Create(path));
  SPANFLOW_TRY(atomic.file().Reserve(total, stop));
  SPANFLOW_TRY(atomic.file().Write(reinterpret_cast<const std::byte*>(header.data()), offset));
  // Mapped under its first name: where no mapping can be had, the old file is still there.
  SPANFLOW_ASSIGN(platform::File file, atomic.file().Duplicate());
  SPANFLOW_ASSIGN(View view,
                  MapView(std::move(file), memory::MapMode::kReadWrite, std::move(layout), offset));
  SPANFLOW_TRY(std::move(atomic).Commit(stop));
  return view;
}

}  // namespace spanflow::io
