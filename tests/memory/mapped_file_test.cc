#include "memory/mapped_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "../platform/temp_folder.h"
#include "memory/heap.h"

namespace spanflow::memory {
namespace {

using platform::PageSize;
using testing::TempFolder;
using testing::TinyDisk;

std::string Pattern(int64_t nbytes) {
  std::string text(static_cast<size_t>(nbytes), '\0');
  for (int64_t i = 0; i < nbytes; ++i)
    text[static_cast<size_t>(i)] = static_cast<char>(1 + i % 251);
  return text;
}

bool Holds(const Block& block, const std::string& text, int64_t from) {
  return std::memcmp(block.address(), text.data() + from, static_cast<size_t>(block.nbytes())) == 0;
}

BlockRef Map(const std::string& path, MapMode mode, int64_t offset, int64_t nbytes) {
  auto block = MapFile(path, mode, offset, nbytes);
  EXPECT_TRUE(block.ok()) << block.status().message();
  return *std::move(block);
}

int OpenDescriptors() {
  int count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    ++count;
  }
  return count;
}

class MappedFile : public ::testing::Test {
 protected:
  MappedFile() : text_(Pattern(10 * PageSize() + 100)), path_(folder_.Write("data", text_)) {}
  int64_t size() const { return static_cast<int64_t>(text_.size()); }
  void Truncate(int64_t nbytes) const { ASSERT_EQ(truncate(path_.c_str(), nbytes), 0); }

  TempFolder folder_;
  std::string text_;
  std::string path_;
};

TEST(MappedPlace, SaysWhereBytesAreFoundAgain) {
  const TempFolder folder;
  const std::string path = folder.Write("data", Pattern(100));
  for (const MapMode mode : {MapMode::kRead, MapMode::kReadWrite}) {
    const BlockRef block = Map(path, mode, 7, 50);
    const auto place = PlaceOf(block.get());
    ASSERT_TRUE(place.has_value());
    EXPECT_EQ(place->mode, mode);
    EXPECT_EQ(place->offset, 7);
    const BlockRef again = Map(place->path, place->mode, place->offset, 50);
    EXPECT_TRUE(Holds(*again, Pattern(100), 7));
    ASSERT_TRUE(block->Close().ok());
    EXPECT_FALSE(PlaceOf(block.get()).has_value());
  }
  const BlockRef changed = Map(path, MapMode::kCopyOnWrite, 0, 10);
  EXPECT_FALSE(PlaceOf(changed.get()).has_value());
  const auto heap = AllocateHeap(64);
  ASSERT_TRUE(heap.ok());
  EXPECT_FALSE(PlaceOf(heap->get()).has_value());
  const BlockRef gone = Map(path, MapMode::kRead, 0, 10);
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_FALSE(PlaceOf(gone.get()).has_value());
}

TEST_F(MappedFile, AddressIsExactlyTheOffset) {
  for (const int64_t offset : {int64_t{0}, int64_t{1}, int64_t{128}, PageSize() - 1, PageSize(),
                               3 * PageSize() + 77, size() - 1}) {
    const BlockRef block = Map(path_, MapMode::kRead, offset, size() - offset);
    EXPECT_TRUE(Holds(*block, text_, offset)) << offset;
    EXPECT_EQ(block->nbytes(), size() - offset);
    EXPECT_TRUE(block->readonly());
    EXPECT_EQ(block->kind(), BlockKind::kMapped);
    EXPECT_EQ(block->description(), path_);
    EXPECT_EQ(block->faults(), 0u);
  }
}

TEST_F(MappedFile, RangesOutsideTheFileAreRefused) {
  const std::pair<int64_t, int64_t> bad[] = {{0, size() + 1}, {size(), 1}, {-1, 10},
                                             {5, -1},         {1, size()}, {INT64_MAX, 10},
                                             {10, INT64_MAX}};
  for (const auto& [offset, nbytes] : bad) {
    const auto block = MapFile(path_, MapMode::kRead, offset, nbytes);
    ASSERT_FALSE(block.ok()) << offset << " " << nbytes;
    EXPECT_EQ(block.status().code(), base::Code::kValue);
    EXPECT_NE(block.status().message().find(std::to_string(size())), std::string::npos);
  }
}

TEST_F(MappedFile, EmptyRangesHaveAnAddressAndWorkLikeOthers) {
  const std::string empty = folder_.Write("empty", "");
  for (const MapMode mode : {MapMode::kRead, MapMode::kReadWrite, MapMode::kCopyOnWrite}) {
    const BlockRef block = Map(empty, mode, 0, 0);
    EXPECT_NE(block->address(), nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(block->address()) % kHeapAlignment, 0u);
    EXPECT_EQ(block->nbytes(), 0);
    EXPECT_EQ(block->faults(), 0u);
    EXPECT_TRUE(block->Flush().ok());
    EXPECT_TRUE(Populate(block.get(), 0, 100).ok());
    EXPECT_TRUE(block->Close().ok());
  }
  EXPECT_EQ(Map(path_, MapMode::kRead, size(), 0)->nbytes(), 0);
}

TEST_F(MappedFile, WritesReachTheFileOnlyInReadWriteMode) {
  const BlockRef shared = Map(path_, MapMode::kReadWrite, 5, 100);
  const BlockRef own = Map(path_, MapMode::kCopyOnWrite, 5, 100);
  EXPECT_FALSE(shared->readonly());
  EXPECT_FALSE(own->readonly());
  own->address()[0] = std::byte{'c'};
  shared->address()[1] = std::byte{'w'};
  EXPECT_TRUE(own->Flush().ok());
  EXPECT_TRUE(shared->Flush().ok());
  std::string expected = text_;
  expected[6] = 'w';
  EXPECT_EQ(TempFolder::Read(path_), expected);
  EXPECT_EQ(own->address()[0], std::byte{'c'});
}

TEST_F(MappedFile, ReadWriteNeedsAWritableFile) {
  if (geteuid() == 0) GTEST_SKIP() << "root may write everything";
  ASSERT_EQ(chmod(path_.c_str(), 0400), 0);
  EXPECT_TRUE(MapFile(path_, MapMode::kRead, 0, 10).ok());
  EXPECT_TRUE(MapFile(path_, MapMode::kCopyOnWrite, 0, 10).ok());
  EXPECT_EQ(MapFile(path_, MapMode::kReadWrite, 0, 10).status().os_error(), EACCES);
}

TEST_F(MappedFile, MissingFileAndDirectoryAreOsErrors) {
  EXPECT_EQ(MapFile(folder_.Path("none"), MapMode::kRead, 0, 0).status().os_error(), ENOENT);
  EXPECT_EQ(MapFile(folder_.path(), MapMode::kRead, 0, 0).status().os_error(), EISDIR);
}

TEST_F(MappedFile, BytesStayWhenTheNameGoes) {
  const BlockRef block = Map(path_, MapMode::kRead, 0, size());
  ASSERT_EQ(unlink(path_.c_str()), 0);
  EXPECT_TRUE(Holds(*block, text_, 0));
  EXPECT_EQ(block->faults(), 0u);
}

TEST_F(MappedFile, CloseGivesBackDescriptorAndPages) {
  const int before = OpenDescriptors();
  const BlockRef block = Map(path_, MapMode::kRead, 0, size());
  EXPECT_EQ(OpenDescriptors(), before + 1);
  const std::byte* address = block->address();
  EXPECT_TRUE(block->Close().ok());
  EXPECT_EQ(OpenDescriptors(), before);
  EXPECT_EQ(platform::SyncPages(address, 1).os_error(), ENOMEM);  // nothing is mapped there
  EXPECT_EQ(block->faults(), 0u);
  EXPECT_EQ(block->description(), path_);
  EXPECT_EQ(Populate(block.get(), 0, 10).code(), base::Code::kValue);
  AdviseSequential(block.get(), 0, 10);
  EXPECT_TRUE(block->Flush().ok());
}

TEST_F(MappedFile, FlushOfAClosedWritableBlockIsAnError) {
  const BlockRef block = Map(path_, MapMode::kReadWrite, 0, size());
  EXPECT_TRUE(block->Close().ok());
  EXPECT_EQ(block->Flush().code(), base::Code::kValue);
}

TEST_F(MappedFile, LostPagesReadAsZerosAndCount) {
  const BlockRef block = Map(path_, MapMode::kRead, 128, size() - 128);
  const BlockRef other = Map(folder_.Write("other", text_), MapMode::kRead, 0, size());
  Truncate(2 * PageSize());
  EXPECT_EQ(block->address()[5 * PageSize()], std::byte{0});
  const uint64_t faults = block->faults();
  EXPECT_GT(faults, 0u);
  EXPECT_EQ(block->address()[9 * PageSize()], std::byte{0});
  EXPECT_EQ(block->faults(), faults);  // the rest of the mapping was covered at once
  EXPECT_EQ(std::memcmp(block->address(), text_.data() + 128, 100), 0);
  EXPECT_TRUE(Holds(*other, text_, 0));
  EXPECT_EQ(other->faults(), 0u);
  Truncate(size());
  EXPECT_EQ(block->faults(), faults);  // damaged for good
  EXPECT_EQ(Map(path_, MapMode::kRead, 0, size())->faults(), 0u);
}

// No signal tells of bytes that are lost inside the last page.
TEST_F(MappedFile, LossInsideTheLastPageCountsToo) {
  const BlockRef block = Map(path_, MapMode::kRead, 0, size());
  EXPECT_EQ(block->faults(), 0u);
  Truncate(size() - 1);
  EXPECT_EQ(block->faults(), 1u);
  EXPECT_EQ(block->faults(), 1u);
  Truncate(size() + 50);
  EXPECT_EQ(block->faults(), 1u);
}

TEST_F(MappedFile, GrowthIsNoFault) {
  const BlockRef block = Map(path_, MapMode::kRead, 0, size());
  Truncate(2 * size());
  EXPECT_EQ(block->faults(), 0u);
}

TEST_F(MappedFile, PopulateReportsLostBytesWithoutTouchingThem) {
  const BlockRef block = Map(path_, MapMode::kRead, 7, size() - 7);
  EXPECT_TRUE(Populate(block.get(), 0, size()).ok());  // cut to the block
  Truncate(PageSize());
  const base::Status status = Populate(block.get(), 0, size());
  EXPECT_EQ(status.code(), base::Code::kOs);
  EXPECT_EQ(status.os_error(), EFAULT);
  EXPECT_EQ(status.path(), path_);
  EXPECT_TRUE(Populate(block.get(), 0, 100).ok());
  EXPECT_EQ(Populate(block.get(), 0, 10, platform::Access::kWrite).code(), base::Code::kValue);
}

TEST_F(MappedFile, FlushReportsWhatCannotBeWrittenBack) {
  const BlockRef block = Map(path_, MapMode::kReadWrite, 0, size());
  Truncate(PageSize());
  block->address()[3 * PageSize()] = std::byte{'w'};
  const base::Status status = block->Flush();
  EXPECT_EQ(status.os_error(), EIO);
  EXPECT_EQ(status.path(), path_);
}

TEST_F(MappedFile, FullDiskUnderASparseMappingIsCountedAndFlushFails) {
  const TinyDisk disk("128k");
  if (!disk.ok()) GTEST_SKIP() << "a small file system can only be mounted by root";
  const std::string sparse = disk.folder().Write("sparse", "");
  const int64_t bytes = 200 * PageSize();
  ASSERT_EQ(truncate(sparse.c_str(), bytes), 0);
  const BlockRef block = Map(sparse, MapMode::kReadWrite, 0, bytes);
  EXPECT_EQ(block->faults(), 0u);
  for (int64_t i = 0; i < bytes; i += PageSize()) block->address()[i] = std::byte{'w'};
  EXPECT_GT(block->faults(), 0u);
  EXPECT_EQ(block->Flush().os_error(), EIO);
}

TEST_F(MappedFile, GuardComesBackInFrontWhenFaultsAreAskedFor) {
  const BlockRef block = Map(path_, MapMode::kRead, 0, size());
  const auto before = signal(SIGBUS, [](int) { _exit(3); });
  EXPECT_EQ(block->faults(), 0u);  // as every operation does when it starts
  Truncate(PageSize());
  EXPECT_EQ(block->address()[4 * PageSize()], std::byte{0});
  EXPECT_GT(block->faults(), 0u);
  static_cast<void>(before);
}

TEST_F(MappedFile, AdviceTakesAnyRangeOfAnyBlock) {
  const BlockRef block = Map(path_, MapMode::kRead, 3, size() - 3);
  AdviseSequential(block.get(), 0, INT64_MAX);
  AdviseWillNeed(block.get(), -5, 10);
  AdviseWillNeed(block.get(), 1 << 30, 10);
  EXPECT_TRUE(Holds(*block, text_, 3));
  const BlockRef heap = *AllocateHeap(100);
  AdviseSequential(heap.get(), 0, 100);
  EXPECT_TRUE(Populate(heap.get(), 0, 100, platform::Access::kWrite).ok());
}

TEST_F(MappedFile, CloseRacesWithReaders) {
  for (int round = 0; round < 50; ++round) {
    const BlockRef block = Map(path_, MapMode::kRead, 0, size());
    std::atomic<int> started{0}, wrong{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, own = block] {
        started.fetch_add(1);
        for (;;) {
          wrong += own->faults() != 0;
          {
            const Borrow borrow(own.get(), Borrower::kKernel);
            if (!borrow.ok()) return;
            wrong += own->address()[size() - 1] != std::byte(text_.back());
          }
          std::this_thread::sleep_for(std::chrono::microseconds(20));  // or it is never closed
        }
      });
    }
    while (started.load() < 3) std::this_thread::yield();
    while (!block->Close().ok()) std::this_thread::yield();
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(wrong.load(), 0);
  }
}

TEST_F(MappedFile, TruncationRacesWithEightReaders) {
  const BlockRef block = Map(path_, MapMode::kReadWrite, 0, size());
  std::atomic<int> started{0}, wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      started.fetch_add(1);
      for (int round = 0; round < 200; ++round) {
        for (int64_t i = 0; i < size(); i += 512) {
          const auto byte = std::atomic_ref(block->address()[i]).load(std::memory_order_relaxed);
          wrong += byte != std::byte{0} && byte != std::byte(text_[static_cast<size_t>(i)]);
        }
      }
    });
  }
  while (started.load() < 8) std::this_thread::yield();
  Truncate(PageSize());
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_GT(block->faults(), 0u);
}

TEST_F(MappedFile, MemoryIsSharedThroughADescriptor) {
  auto made = AllocateShared(3 * PageSize());
  ASSERT_TRUE(made.ok()) << made.status().message();
  const BlockRef block = *std::move(made);
  EXPECT_EQ(block->address()[PageSize()], std::byte{0});
  block->address()[PageSize()] = std::byte{7};
  auto range = FileRangeOf(*block);
  ASSERT_TRUE(range.ok() && range->has_value());
  EXPECT_EQ((*range)->nbytes, 3 * PageSize());
  auto again = MapFile(std::move((*range)->file), (*range)->mode, PageSize(), PageSize());
  ASSERT_TRUE(again.ok());
  EXPECT_NE((*again)->address(), block->address() + PageSize());
  EXPECT_EQ((*again)->address()[0], std::byte{7});
  (*again)->address()[1] = std::byte{9};
  EXPECT_EQ(block->address()[PageSize() + 1], std::byte{9});
  ASSERT_TRUE(block->Close().ok());
  EXPECT_EQ((*again)->address()[0], std::byte{7});  // it outlives the first mapping
  EXPECT_FALSE(FileRangeOf(*block).ok());
}

TEST_F(MappedFile, WhatOthersCannotMapHasNoRange) {
  EXPECT_FALSE(FileRangeOf(**AllocateHeap(64))->has_value());
  EXPECT_FALSE(FileRangeOf(*Map(path_, MapMode::kCopyOnWrite, 0, size()))->has_value());
  EXPECT_TRUE(FileRangeOf(*Map(path_, MapMode::kRead, 0, size()))->has_value());
  EXPECT_FALSE(FileRangeOf(**AllocateShared(0))->has_value());
}

// Files are limited to 1 MiB meanwhile, in a process of its own: if the check is ever lost, the
// machine's memory is not.
TEST(SharedMemoryDeathTest, TooMuchIsAnError) {
  const auto check = [] {
    const rlimit small{1 << 20, 1 << 20};
    setrlimit(RLIMIT_FSIZE, &small);
    signal(SIGXFSZ, SIG_IGN);
    const auto made = AllocateShared(int64_t{1} << 62);
    const bool refused = !made.ok() && made.status().code() == base::Code::kMemory &&
                         made.status().message().find("are available") != std::string::npos;
    _exit(refused ? 0 : 1);
  };
  EXPECT_EXIT(check(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace spanflow::memory
