#include "io/npy.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "../platform/temp_folder.h"
#include "memory/heap.h"
#include "npy_bytes.h"
#include "platform/pages.h"

namespace spanflow::io {
namespace {

using array::View;
using base::Code;
using base::Dims;
using base::DType;
using base::Kind;
using memory::MapMode;
using testing::HeaderText;
using testing::NpyBytes;
using testing::TempFolder;
using testing::TinyDisk;

View Take(base::Result<View> view) {
  EXPECT_TRUE(view.ok()) << view.status().message();
  return view.ok() ? *std::move(view) : View();
}

// A C-contiguous int32 array 0, 1, 2, … on the heap.
View Counting(const Dims& shape) {
  View view;
  view.layout = *base::Layout::Contiguous(DType(Kind::kI32), shape);
  view.block = *memory::AllocateHeap(view.layout.nbytes());
  view.data = view.block->address();
  for (int32_t i = 0; i < view.size(); ++i) std::memcpy(view.data + i * 4, &i, 4);
  return view;
}

// The elements of any int32 view in C order.
std::vector<int32_t> Elements(const View& view) {
  std::vector<int32_t> values;
  for (int64_t n = 0; n < view.size(); ++n) {
    const std::byte* at = view.data;
    int64_t rest = n;
    for (int i = view.ndim() - 1; i >= 0; --i) {
      at += rest % view.layout.shape[i] * view.layout.strides[i];
      rest /= view.layout.shape[i];
    }
    int32_t value;
    std::memcpy(&value, at, 4);
    values.push_back(value);
  }
  return values;
}

class NpyTest : public ::testing::Test {
 protected:
  std::string Path() const { return folder_.Path("a.npy"); }
  // Saves, opens, and expects the same elements in the same shape.
  View RoundTrip(const View& view) {
    const base::Status status = SaveNpy(Path(), view);
    EXPECT_TRUE(status.ok()) << status.message();
    View back = Take(OpenNpy(Path(), MapMode::kRead));
    EXPECT_EQ(back.layout.shape, view.layout.shape);
    EXPECT_EQ(back.dtype(), view.dtype());
    EXPECT_EQ(Elements(back), Elements(view));
    EXPECT_EQ(folder_.FileCount(), 1);
    return back;
  }
  TempFolder folder_;
};

TEST_F(NpyTest, OpensWithTheDataAligned) {
  const View back = RoundTrip(Counting({5, 7}));
  EXPECT_TRUE(back.readonly);
  EXPECT_TRUE(back.layout.c_contiguous());
  EXPECT_EQ(back.block->kind(), memory::BlockKind::kMapped);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(back.data) % 64, 0u);
}

TEST_F(NpyTest, EveryLayoutIsSavedInItsOwnOrder) {
  const View base = Counting({6, 8, 10});
  const auto with = [&base](const Dims& shape, const Dims& strides, int64_t offset = 0) {
    return base.With(base::Layout{base.dtype(), shape, strides}, offset);
  };
  RoundTrip(with({6, 8, 5}, {320, 40, 8}));          // every second column
  RoundTrip(with({6, 8, 10}, {-320, 40, 4}, 1600));  // reversed rows
  RoundTrip(with({10, 6, 8}, {4, 320, 40}));         // axes in another order
  RoundTrip(with({8, 3, 4}, {40, 640, 4}));          // runs of four
  RoundTrip(with({6, 10}, {320, 4}, 40));            // one plane
  RoundTrip(with({4, 6}, {0, 320}));                 // broadcast
  RoundTrip(with({1, 6, 1, 8}, {77, 320, 5, 40}));   // strides of size-1 dimensions mean nothing
  RoundTrip(with({10}, {-4}, 36));
  RoundTrip(with({}, {}, 8));
  RoundTrip(with({3, 0, 2}, {8, 4, 4}));
  const View transposed = RoundTrip(with({10, 8, 6}, {4, 40, 320}));
  EXPECT_TRUE(transposed.layout.f_contiguous());
  EXPECT_FALSE(transposed.layout.c_contiguous());
}

TEST_F(NpyTest, RowsLongerThanTheBufferAndManyShortOnes) {
  const View base = Counting({64, 300000});  // 1.2 MB a row
  RoundTrip(base.With(base::Layout{base.dtype(), {32, 290000}, {2 * 1200000, 4}}));
  RoundTrip(base.With(base::Layout{base.dtype(), {150000, 60}, {8, 1200000}}));
}

TEST_F(NpyTest, SwappedBytesGoOutAsTheyAre) {
  View view = Counting({3});
  view.layout.dtype = DType(Kind::kI32, true);
  RoundTrip(view);
  const std::string bytes = TempFolder::Read(Path());
  EXPECT_NE(bytes.find("'>i4'"), std::string::npos);
  EXPECT_EQ(bytes.size(), 128u + 12u);
}

TEST_F(NpyTest, ModesOfOpening) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({4})).ok());
  {
    const View own = Take(OpenNpy(Path(), MapMode::kCopyOnWrite));
    EXPECT_FALSE(own.readonly);
    own.data[0] = std::byte{99};
  }
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{0, 1, 2, 3}));
  {
    const View shared = Take(OpenNpy(Path(), MapMode::kReadWrite));
    shared.data[4] = std::byte{99};
    EXPECT_TRUE(shared.block->Flush().ok());
  }
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{0, 99, 2, 3}));
}

TEST_F(NpyTest, EmptyArraysOpenWithAnAddress) {
  const View view = RoundTrip(Counting({0, 5}));
  EXPECT_NE(view.data, nullptr);
  EXPECT_EQ(view.block->nbytes(), 0);
}

TEST_F(NpyTest, SavingOverTheFileThatIsBeingRead) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({1000})).ok());
  const View mapped = Take(OpenNpy(Path(), MapMode::kRead));
  const View half = mapped.With(base::Layout{mapped.dtype(), {500}, {8}});
  const std::vector<int32_t> expected = Elements(half);
  ASSERT_TRUE(SaveNpy(Path(), half).ok());
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), expected);
  EXPECT_EQ(Elements(half), expected);  // the old bytes are still there for whoever holds them
  EXPECT_EQ(mapped.block->faults(), 0u);
}

TEST_F(NpyTest, LostBytesAreNotSavedAsZeros) {
  const std::string source = folder_.Path("source.npy");
  ASSERT_TRUE(SaveNpy(source, Counting({100000})).ok());
  ASSERT_TRUE(SaveNpy(Path(), Counting({3})).ok());
  const View straight = Take(OpenNpy(source, MapMode::kRead));
  const View strided =
      Take(OpenNpy(source, MapMode::kRead)).With(base::Layout{DType(Kind::kI32), {50000}, {8}});
  ASSERT_EQ(truncate(source.c_str(), 5000), 0);
  for (const View& view : {straight, strided}) {
    for (int attempt = 0; attempt < 2; ++attempt) {  // also when the damage is known already
      const base::Status status = SaveNpy(Path(), view);
      EXPECT_EQ(status.os_error(), EIO) << status.message();
      EXPECT_EQ(status.path(), source);
    }
  }
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(folder_.FileCount(), 2);
}

TEST_F(NpyTest, SavingStopsWhenToldAndKeepsTheOldFile) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({3})).ok());
  const View large = Counting({18 << 20});  // 72 MiB
  const View strided = large.With(base::Layout{large.dtype(), {18 << 16, 15}, {64, 4}});
  for (const View& view : {large, strided}) {
    for (int asked = 1;; ++asked) {  // told to stop at the first question, the second, …
      int questions = 0;
      const base::Status status = SaveNpy(Path(), view, [&] { return ++questions == asked; });
      if (asked > 1 && questions < asked) {
        EXPECT_TRUE(status.ok()) << status.message();
        EXPECT_GE(questions, 3);  // reserving, between transfers, before the name moves
        break;
      }
      ASSERT_EQ(status.code(), Code::kCancelled);
      ASSERT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{0, 1, 2}));
      ASSERT_EQ(folder_.FileCount(), 1);
    }
    ASSERT_TRUE(SaveNpy(Path(), Counting({3})).ok());
  }
}

TEST_F(NpyTest, ClosedArraysAreRefused) {
  const View view = Counting({3});
  ASSERT_TRUE(view.block->Close().ok());
  EXPECT_EQ(SaveNpy(Path(), view).code(), Code::kValue);
  EXPECT_EQ(folder_.FileCount(), 0);
}

TEST_F(NpyTest, FullDiskKeepsTheOldFile) {
  const TinyDisk disk("256k");
  if (!disk.ok()) GTEST_SKIP() << "a small file system can only be mounted by root";
  const std::string path = disk.folder().Path("a.npy");
  ASSERT_TRUE(SaveNpy(path, Counting({5})).ok());
  EXPECT_EQ(SaveNpy(path, Counting({1000000})).os_error(), ENOSPC);
  EXPECT_EQ(CreateNpy(path, DType(Kind::kF64), {1000000}).status().os_error(), ENOSPC);
  EXPECT_EQ(Elements(Take(OpenNpy(path, MapMode::kRead))).size(), 5u);
  EXPECT_EQ(disk.folder().FileCount(), 1);
}

TEST_F(NpyTest, FileSizeLimitKeepsTheOldFile) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({5})).ok());
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit limit{100000, old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const base::Status saved = SaveNpy(Path(), Counting({1000000}));
  const base::Status created = CreateNpy(Path(), DType(Kind::kF64), {1000000}).TakeStatus();
  setrlimit(RLIMIT_FSIZE, &old_limit);
  signal(SIGXFSZ, old_handler);
  EXPECT_EQ(saved.os_error(), EFBIG);
  EXPECT_EQ(created.os_error(), EFBIG);
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))).size(), 5u);
  EXPECT_EQ(folder_.FileCount(), 1);
}

TEST_F(NpyTest, OldFileSurvivesWhenTheNewOneCannotBeMapped) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({5})).ok());
  rlimit old_limit;
  getrlimit(RLIMIT_AS, &old_limit);
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  statm >> pages;
  const rlimit limit{pages * static_cast<uint64_t>(platform::PageSize()) + (uint64_t{64} << 20),
                     old_limit.rlim_max};
  setrlimit(RLIMIT_AS, &limit);
  const base::Status status = CreateNpy(Path(), DType(Kind::kU8), {200 << 20}).TakeStatus();
  setrlimit(RLIMIT_AS, &old_limit);
  EXPECT_EQ(status.os_error(), ENOMEM) << status.message();
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))).size(), 5u);
  EXPECT_EQ(folder_.FileCount(), 1);
}

TEST_F(NpyTest, RecordsThatCouldNotBeReadAreNotWritten) {
  const auto with = [](int count, int64_t step, size_t name) {
    std::vector<base::Field> fields;
    for (int i = 0; i < count; ++i) {
      std::string text = std::to_string(i);
      text.resize(std::max(text.size(), name), 'x');
      fields.push_back({std::move(text), DType(Kind::kU8), i * step, {}});
    }
    View view;
    view.layout =
        *base::Layout::Contiguous(*DType::MakeRecord(std::move(fields), count * step), {0});
    return view;
  };
  for (const int64_t step : {1, 2}) {  // without and with gaps
    ASSERT_TRUE(SaveNpy(Path(), with(4096, step, 1)).ok());
    EXPECT_EQ(Take(OpenNpy(Path(), MapMode::kRead)).dtype().fields().size(), 4096u);
  }
  const base::Status many = SaveNpy(Path(), with(4097, 1, 1));
  EXPECT_EQ(many.code(), Code::kValue);
  EXPECT_NE(many.message().find("4097 fields; at most 4096"), std::string::npos) << many.message();
  const base::Status longer = SaveNpy(Path(), with(2, 1, 600000));
  EXPECT_EQ(longer.code(), Code::kValue);
  EXPECT_NE(longer.message().find("1048576"), std::string::npos) << longer.message();
  EXPECT_EQ(Take(OpenNpy(Path(), MapMode::kRead)).dtype().fields().size(), 4096u);
}

TEST_F(NpyTest, PaddingMayHaveAShape) {
  const std::string elements("\1\0\0\0--------\2\0\0\0", 16);
  folder_.Write(
      "a.npy",
      NpyBytes(HeaderText("[('a', '<i4'), ('', '|V4', (2,)), ('b', '<i4')]", "(1,)"), elements));
  const View view = Take(OpenNpy(Path(), MapMode::kRead));
  EXPECT_EQ(view.dtype().itemsize(), 16);
  EXPECT_EQ(view.dtype().FindField("b")->offset, 12);
}

TEST_F(NpyTest, WhereNothingCanBeSaved) {
  EXPECT_EQ(SaveNpy(folder_.path(), Counting({3})).os_error(), EISDIR);
  EXPECT_EQ(SaveNpy(folder_.Path("no/a.npy"), Counting({3})).os_error(), ENOENT);
  View brain = Counting({3});
  brain.layout.dtype = DType(Kind::kBF16);
  EXPECT_EQ(SaveNpy(Path(), brain).code(), Code::kType);
  EXPECT_EQ(folder_.FileCount(), 0);
}

TEST_F(NpyTest, CreatedFilesAreZerosWithReservedSpace) {
  for (const bool fortran : {false, true}) {
    const View view = Take(CreateNpy(Path(), DType(Kind::kI32), {200, 300}, fortran));
    EXPECT_FALSE(view.readonly);
    EXPECT_EQ(view.layout.strides, fortran ? (Dims{4, 800}) : (Dims{1200, 4}));
    EXPECT_EQ(Elements(view), std::vector<int32_t>(60000, 0));
    struct stat info;
    ASSERT_EQ(stat(Path().c_str(), &info), 0);
    EXPECT_EQ(info.st_size, 128 + 240000);
    EXPECT_GE(info.st_blocks * 512, 240000);
    const int32_t value = 7;
    std::memcpy(view.data + 4, &value, 4);
    const View back = Take(OpenNpy(Path(), MapMode::kRead));
    EXPECT_EQ(back.layout.strides, view.layout.strides);
    EXPECT_EQ(std::memcmp(back.data + 4, &value, 4), 0);
  }
}

TEST_F(NpyTest, CreatingOverAnOldFileLeavesItsReadersAlone) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({1000})).ok());
  const View old = Take(OpenNpy(Path(), MapMode::kRead));
  EXPECT_EQ(Take(CreateNpy(Path(), DType(Kind::kF32), {0})).size(), 0);
  EXPECT_EQ(Elements(old).back(), 999);
  EXPECT_EQ(old.block->faults(), 0u);
}

TEST_F(NpyTest, CreateRefusesBadShapesBeforeTouchingAnything) {
  ASSERT_TRUE(SaveNpy(Path(), Counting({2})).ok());
  EXPECT_EQ(CreateNpy(Path(), DType(Kind::kF32), {-1}).status().code(), Code::kValue);
  EXPECT_EQ(CreateNpy(Path(), DType(Kind::kF32), {INT64_MAX / 4}).status().code(), Code::kValue);
  EXPECT_EQ(CreateNpy(Path(), DType(Kind::kF32), {INT64_MAX / 2}).status().code(), Code::kValue);
  EXPECT_EQ(Take(OpenNpy(Path(), MapMode::kRead)).size(), 2);
}

TEST_F(NpyTest, RawFilesTakeTheirShapeFromTheFile) {
  const std::string path = folder_.Write("raw", std::string("\1\0\0\0\2\0\0\0\3\0\0\0", 12));
  const DType i32(Kind::kI32);
  EXPECT_EQ(Elements(Take(OpenRaw(path, MapMode::kRead, i32, {}, 0))),
            (std::vector<int32_t>{1, 2, 3}));
  EXPECT_EQ(Elements(Take(OpenRaw(path, MapMode::kRead, i32, {}, 8))), (std::vector<int32_t>{3}));
  EXPECT_EQ(Take(OpenRaw(path, MapMode::kRead, i32, {}, 12)).layout.shape, Dims{0});
  EXPECT_EQ(Elements(Take(OpenRaw(path, MapMode::kRead, i32, Dims{2, 1}, 4))),
            (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(Take(OpenRaw(path, MapMode::kRead, DType(Kind::kBF16), {}, 1 + 1)).size(), 5);
  EXPECT_EQ(Take(OpenRaw(folder_.Write("none", ""), MapMode::kReadWrite, i32, {}, 0)).size(), 0);
}

TEST_F(NpyTest, RawFilesThatDoNotFit) {
  const std::string path = folder_.Write("raw", std::string(13, 'x'));
  const auto refused = [&](const std::optional<Dims>& shape, int64_t offset,
                           std::initializer_list<const char*> words) {
    const auto view = OpenRaw(path, MapMode::kRead, DType(Kind::kI32), shape, offset);
    ASSERT_FALSE(view.ok());
    EXPECT_EQ(view.status().code(), Code::kValue);
    for (const char* word : words) {
      EXPECT_NE(view.status().message().find(word), std::string::npos) << view.status().message();
    }
  };
  refused({}, 0, {"13", "4"});
  refused({}, 14, {"14", "13", "past the end"});
  refused({}, -1, {"-1", "negative"});
  refused(Dims{4}, 0, {"16", "13"});
  refused(Dims{3}, 2, {"12", "11"});
  refused(Dims{-1}, 0, {"negative"});
  refused(Dims{INT64_MAX}, 0, {"too large"});
  refused(Dims{INT64_MAX / 4, 1}, 5, {"8"});
  EXPECT_EQ(OpenRaw(path, MapMode::kRead, DType::Bytes(0), {}, 0).status().code(), Code::kValue);
}

TEST_F(NpyTest, UnalignedDataOfOldFilesIsRead) {
  const std::string bytes =
      NpyBytes(HeaderText("'<i4'", "(2,)"), std::string("\5\0\0\0\6\0\0\0", 8));
  folder_.Write("a.npy", bytes);
  ASSERT_NE((bytes.size() - 8) % 4, 0u);
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{5, 6}));
}

TEST_F(NpyTest, ViewsWithoutABlockAreSaved) {
  int32_t values[] = {7, 8, 9};
  View view;
  view.data = reinterpret_cast<std::byte*>(values);
  view.layout = *base::Layout::Contiguous(DType(Kind::kI32), {3});
  ASSERT_TRUE(SaveNpy(Path(), view).ok());
  EXPECT_EQ(Elements(Take(OpenNpy(Path(), MapMode::kRead))), (std::vector<int32_t>{7, 8, 9}));
}

}  // namespace
}  // namespace spanflow::io
