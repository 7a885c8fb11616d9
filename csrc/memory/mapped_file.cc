#include "memory/mapped_file.h"

#include <algorithm>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <cerrno>

#include "base/arith.h"
#include "platform/fault_guard.h"
#include "platform/os_error.h"
#include "platform/topology.h"

namespace spanflow::memory {
namespace {

namespace bip = boost::interprocess;
using base::Result;
using base::Status;

// Lends our descriptor to Boost, whose own file_mapping would let started programs inherit it.
class Mappable {
 public:
  explicit Mappable(int descriptor) : descriptor_(descriptor) {}
  bip::mapping_handle_t get_mapping_handle() const {
    bip::mapping_handle_t handle{};
    handle.handle = descriptor_;
    return handle;
  }

 private:
  int descriptor_;
};

Result<bip::mapped_region> MapRegion(const platform::File& file, MapMode mode, int64_t offset,
                                     int64_t nbytes) {
  const bip::mode_t boost_mode = mode == MapMode::kRead        ? bip::read_only
                                 : mode == MapMode::kReadWrite ? bip::read_write
                                                               : bip::copy_on_write;
  const int options = mode == MapMode::kCopyOnWrite ? platform::NoReserveFlag() : 0;
  try {
    return bip::mapped_region(Mappable(file.descriptor()), boost_mode, offset,
                              static_cast<size_t>(nbytes), nullptr, options);
  } catch (const bip::interprocess_exception& error) {
    return platform::OsError(error.get_native_error(), file.path(),
                             "mapping " + std::to_string(nbytes) + " bytes");
  }
}

Status CheckRange(const platform::File& file, int64_t offset, int64_t nbytes) {
  SPANFLOW_ASSIGN(const int64_t size, file.Size());
  int64_t end;
  if (offset >= 0 && nbytes >= 0 && base::CheckedAdd(offset, nbytes, &end) && end <= size) {
    return Status::Ok();
  }
  return Status::Value(std::to_string(nbytes) + " bytes from byte " + std::to_string(offset) +
                       " on do not lie inside '" + file.path() + "', which has " +
                       std::to_string(size) + " bytes");
}

alignas(64) std::byte nothing[64];  // the address of empty blocks

class MappedBlock final : public Block {
 public:
  MappedBlock(platform::File file, bip::mapped_region region, MapMode mode, int64_t offset)
      : Block(region.get_size() == 0 ? nothing : static_cast<std::byte*>(region.get_address()),
              static_cast<int64_t>(region.get_size()), BlockKind::kMapped, mode == MapMode::kRead),
        file_(std::move(file)),
        region_(std::move(region)),
        mode_(mode),
        offset_(offset) {}

  Status Watch() {
    if (nbytes() == 0) return Status::Ok();
    return guard_.Watch({address(), nbytes(), mode_ != MapMode::kRead,
                         mode_ == MapMode::kCopyOnWrite, file_.descriptor(), offset_,
                         &file_.path()});
  }

  uint64_t faults() const override;
  std::string description() const override { return file_.path(); }
  Status Flush() override;
  Result<FileRange> Range() const {
    SPANFLOW_ASSIGN(platform::File file, file_.Duplicate());
    return FileRange{std::move(file), mode_, offset_, nbytes()};
  }
  bool sharable() const { return mode_ != MapMode::kCopyOnWrite && nbytes() > 0; }

  std::optional<MappedPlace> Place() {
    const Borrow borrow(this, Borrower::kKernel);
    if (!borrow.ok() || mode_ == MapMode::kCopyOnWrite || faults() != 0) return {};
    std::string path = file_.CurrentPath();
    if (path.empty()) return {};
    return MappedPlace{std::move(path), mode_, offset_};
  }

 private:
  void ReleaseBytes() noexcept override {
    guard_.Unwatch();  // before the pages go: see GuardedMapping
    region_ = bip::mapped_region();
    file_.Close();
  }

  platform::File file_;
  bip::mapped_region region_;
  platform::GuardedMapping guard_;
  MapMode mode_;
  int64_t offset_;
};

uint64_t MappedBlock::faults() const {
  // The borrow keeps the descriptor open; it leaves the bytes and the caller's view of us alone.
  const Borrow borrow(const_cast<MappedBlock*>(this), Borrower::kKernel);
  if (borrow.ok() && nbytes() > 0) {
    platform::EnsureFaultGuard();
    guard_.CheckFileEnd();
  }
  return guard_.faults();
}

Status MappedBlock::Flush() {
  if (mode_ != MapMode::kReadWrite) return Status::Ok();
  const Borrow borrow(this, Borrower::kKernel);
  if (!borrow.ok()) return Status::Value("operation on a closed array");
  const Status pages = platform::SyncPages(address(), nbytes());
  if (!pages.ok()) return Status::Os(pages.os_error(), pages.message(), file_.path());
  SPANFLOW_TRY(file_.Sync());
  if (faults() == 0) return Status::Ok();
  return Status::Os(EIO,
                    "bytes could not be written back: the file became shorter while it was "
                    "mapped, or its disk is full or failed",
                    file_.path());
}

// The part of a request that lies inside the block.
struct Part {
  Part(const Block& block, int64_t offset, int64_t nbytes) {
    const int64_t from = std::clamp<int64_t>(offset, 0, block.nbytes());
    address = block.address() + from;
    size = std::clamp<int64_t>(nbytes, 0, block.nbytes() - from);
  }
  std::byte* address;
  int64_t size;
};

// Advice about memory that is no file would only split the allocator's pages.
void AdviseMapped(Block* block, int64_t offset, int64_t nbytes, platform::Advice advice) {
  if (block->kind() != BlockKind::kMapped) return;
  const Borrow borrow(block, Borrower::kKernel);
  if (!borrow.ok()) return;
  const Part part(*block, offset, nbytes);
  platform::Advise(part.address, part.size, advice);
}

}  // namespace

Result<BlockRef> MapFile(const std::string& path, MapMode mode, int64_t offset, int64_t nbytes) {
  SPANFLOW_ASSIGN(platform::File file, platform::File::Open(path, OpenModeFor(mode)));
  return MapFile(std::move(file), mode, offset, nbytes);
}

Result<BlockRef> MapFile(platform::File file, MapMode mode, int64_t offset, int64_t nbytes) {
  SPANFLOW_TRY(CheckRange(file, offset, nbytes));
  bip::mapped_region region;
  if (nbytes > 0) {
    SPANFLOW_ASSIGN(region, MapRegion(file, mode, offset, nbytes));
  }
  auto* block = new MappedBlock(std::move(file), std::move(region), mode, offset);
  BlockRef reference = BlockRef::Adopt(block);
  SPANFLOW_TRY(block->Watch());
  return reference;
}

std::optional<MappedPlace> PlaceOf(Block* block) {
  auto* const mapped = dynamic_cast<MappedBlock*>(block);
  return mapped == nullptr ? std::nullopt : mapped->Place();
}

Result<BlockRef> AllocateShared(int64_t nbytes) {
  // Such a file has no limit of its own: the system would reserve what there is not, and end
  // processes, ours or others, to get it.
  if (const int64_t available = platform::AvailableMemory(); nbytes > available) {
    return Status::Memory("cannot share " + std::to_string(nbytes) + " bytes of memory; " +
                          std::to_string(available) + " are available");
  }
  SPANFLOW_ASSIGN(platform::File file, platform::File::Anonymous("shared memory"));
  const Status reserved = file.Reserve(nbytes);
  if (!reserved.ok()) {
    return Status::Memory("cannot share " + std::to_string(nbytes) +
                          " bytes of memory: " + reserved.message());
  }
  return MapFile(std::move(file), MapMode::kReadWrite, 0, nbytes);
}

Result<std::optional<FileRange>> FileRangeOf(const Block& block) {
  const auto* mapped = dynamic_cast<const MappedBlock*>(&block);
  if (mapped == nullptr || !mapped->sharable()) return std::optional<FileRange>();
  const Borrow borrow(const_cast<MappedBlock*>(mapped), Borrower::kKernel);  // keeps it open
  if (!borrow.ok()) return Status::Value("operation on a closed array");
  SPANFLOW_ASSIGN(FileRange range, mapped->Range());
  return std::optional<FileRange>(std::move(range));
}

void AdviseSequential(Block* block, int64_t offset, int64_t nbytes) {
  AdviseMapped(block, offset, nbytes, platform::Advice::kSequential);
}

void AdviseWillNeed(Block* block, int64_t offset, int64_t nbytes) {
  AdviseMapped(block, offset, nbytes, platform::Advice::kWillNeed);
}

Status Populate(Block* block, int64_t offset, int64_t nbytes, platform::Access access) {
  if (access == platform::Access::kWrite && block->readonly()) {
    return Status::Value("the pages of a read-only array cannot be made writable");
  }
  const Borrow borrow(block, Borrower::kKernel);
  if (!borrow.ok()) return Status::Value("operation on a closed array");
  const Part part(*block, offset, nbytes);
  const Status status = platform::Populate(part.address, part.size, access);
  if (status.ok()) return Status::Ok();
  return Status::Os(status.os_error(), status.message(), block->description());
}

}  // namespace spanflow::memory
