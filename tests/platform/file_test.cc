#include "platform/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "temp_folder.h"

namespace spanflow::platform {
namespace {

using testing::TempFolder;

const std::byte* Bytes(const char* text) { return reinterpret_cast<const std::byte*>(text); }

TEST(File, ReadsWhatIsThereAndKnowsItsSize) {
  const TempFolder folder;
  const std::string path = folder.Write("data", "0123456789");
  const auto file = File::Open(path, OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(*file->Size(), 10);
  EXPECT_EQ(file->SizeOrMinusOne(), 10);
  std::byte buffer[8];
  EXPECT_EQ(*file->ReadAt(7, buffer, 8), 3);  // only the end is short
  EXPECT_EQ(std::memcmp(buffer, "789", 3), 0);
  EXPECT_EQ(*file->ReadAt(10, buffer, 8), 0);
}

TEST(File, MissingFileIsAnOsErrorWithItsPath) {
  const TempFolder folder;
  const auto file = File::Open(folder.Path("none"), OpenMode::kRead);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().code(), base::Code::kOs);
  EXPECT_EQ(file.status().os_error(), ENOENT);
  EXPECT_EQ(file.status().path(), folder.Path("none"));
  EXPECT_EQ(file.status().message(), "No such file or directory");
}

TEST(File, DirectoryIsRefusedInBothModes) {
  const TempFolder folder;
  EXPECT_EQ(File::Open(folder.path(), OpenMode::kRead).status().os_error(), EISDIR);
  EXPECT_EQ(File::Open(folder.path(), OpenMode::kReadWrite).status().os_error(), EISDIR);
}

TEST(File, FifoWithoutAWriterIsRefusedAtOnce) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  alarm(20);  // a blocking open would wait for ever
  const auto file = File::Open(folder.Path("fifo"), OpenMode::kRead);
  alarm(0);
  ASSERT_FALSE(file.ok());
  EXPECT_EQ(file.status().os_error(), EINVAL);
  EXPECT_NE(file.status().message().find("FIFO"), std::string::npos);
}

TEST(File, DeviceIsRefused) {
  EXPECT_EQ(File::Open("/dev/zero", OpenMode::kRead).status().os_error(), EINVAL);
}

TEST(File, IsNotInheritedByStartedPrograms) {
  const TempFolder folder;
  const auto file = File::Open(folder.Write("data", "x"), OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  EXPECT_NE(fcntl(file->descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(File, ClosesItsDescriptorOnceAndMovesIt) {
  const TempFolder folder;
  int descriptor;
  {
    auto opened = File::Open(folder.Write("data", "x"), OpenMode::kRead);
    ASSERT_TRUE(opened.ok());
    File first = *std::move(opened);
    descriptor = first.descriptor();
    const File second = std::move(first);
    EXPECT_FALSE(first.is_open());  // NOLINT: what is left behind is the point
    EXPECT_EQ(second.descriptor(), descriptor);
    EXPECT_GE(fcntl(descriptor, F_GETFD), 0);
  }
  EXPECT_EQ(fcntl(descriptor, F_GETFD), -1);
}

TEST(File, ReserveMakesBlocksNotHoles) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  ASSERT_TRUE(file->Reserve(1 << 20).ok());
  struct stat info;
  ASSERT_EQ(fstat(file->descriptor(), &info), 0);
  EXPECT_EQ(info.st_size, 1 << 20);
  EXPECT_GE(info.st_blocks * 512, 1 << 20);
}

TEST(File, WritingToAReadOnlyDescriptorIsAnOsError) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", "abc"), OpenMode::kRead);
  ASSERT_TRUE(file.ok());
  const base::Status status = file->Write(Bytes("x"), 1);
  EXPECT_EQ(status.os_error(), EBADF);
  EXPECT_EQ(TempFolder::Read(folder.Path("data")), "abc");
}

TEST(File, FileSizeLimitIsAnErrorAndNotASignal) {
  const TempFolder folder;
  auto file = File::Open(folder.Write("data", ""), OpenMode::kReadWrite);
  ASSERT_TRUE(file.ok());
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);  // as Python does
  rlimit old_limit;
  getrlimit(RLIMIT_FSIZE, &old_limit);
  const rlimit limit{8192, old_limit.rlim_max};
  setrlimit(RLIMIT_FSIZE, &limit);
  const std::string much(20000, 'x');
  const base::Status written = file->Write(Bytes(much.data()), 20000);
  const base::Status reserved = file->Reserve(20000);
  setrlimit(RLIMIT_FSIZE, &old_limit);
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(written.os_error(), EFBIG);
  EXPECT_EQ(reserved.os_error(), EFBIG);
  EXPECT_NE(reserved.message().find("20000"), std::string::npos);
}

}  // namespace
}  // namespace spanflow::platform
