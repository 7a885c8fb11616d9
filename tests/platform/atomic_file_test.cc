#include "platform/atomic_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "temp_folder.h"

namespace spanflow::platform {
namespace {

using testing::TempFolder;
using testing::TinyDisk;

base::Status Put(AtomicFile& atomic, const std::string& text) {
  return atomic.file().Write(reinterpret_cast<const std::byte*>(text.data()),
                             static_cast<int64_t>(text.size()));
}

base::Status Replace(const std::string& path, const std::string& text) {
  SPANFLOW_ASSIGN(AtomicFile atomic, AtomicFile::Create(path));
  SPANFLOW_TRY(Put(atomic, text));
  return std::move(atomic).Commit();
}

mode_t ModeOf(const std::string& path) {
  struct stat info = {};
  stat(path.c_str(), &info);
  return info.st_mode & 07777;
}

TEST(AtomicFile, OldContentsStayUntilCommit) {
  const TempFolder folder;
  const std::string path = folder.Write("a", "old");
  auto atomic = AtomicFile::Create(path);
  ASSERT_TRUE(atomic.ok());
  ASSERT_TRUE(Put(*atomic, "new contents").ok());
  EXPECT_EQ(TempFolder::Read(path), "old");
  ASSERT_TRUE(std::move(*atomic).Commit().ok());
  EXPECT_EQ(TempFolder::Read(path), "new contents");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFile, ToldToStopItKeepsTheOldFile) {
  const TempFolder folder;
  const std::string path = folder.Write("a", "old");
  {
    auto atomic = AtomicFile::Create(path);
    ASSERT_TRUE(atomic.ok());
    ASSERT_TRUE(Put(*atomic, "new").ok());
    EXPECT_EQ(std::move(*atomic).Commit([] { return true; }).code(), base::Code::kCancelled);
  }
  EXPECT_EQ(TempFolder::Read(path), "old");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFile, LinksWhoseTargetIsMissingAreFollowed) {
  const TempFolder folder;
  const std::string link = folder.Path("link"), second = folder.Path("second");
  ASSERT_EQ(symlink("second", link.c_str()), 0);  // relative to the link, not to where we are
  ASSERT_EQ(symlink(folder.Path("target").c_str(), second.c_str()), 0);
  ASSERT_TRUE(Replace(link, "made").ok());
  struct stat info;
  ASSERT_EQ(lstat(link.c_str(), &info), 0);
  EXPECT_TRUE(S_ISLNK(info.st_mode));
  EXPECT_EQ(TempFolder::Read(folder.Path("target")), "made");
  ASSERT_TRUE(Replace(link, "again").ok());
  EXPECT_EQ(TempFolder::Read(folder.Path("target")), "again");
  EXPECT_EQ(folder.FileCount(), 3);
}

TEST(AtomicFile, LinksThatLeadNowhereAreRefused) {
  const TempFolder folder;
  const std::string link = folder.Path("link");
  ASSERT_EQ(symlink("no/such/folder", link.c_str()), 0);
  EXPECT_EQ(Replace(link, "x").os_error(), ENOENT);
  ASSERT_EQ(symlink("circle", folder.Path("circle").c_str()), 0);
  EXPECT_EQ(Replace(folder.Path("circle"), "x").os_error(), ELOOP);
  EXPECT_EQ(folder.FileCount(), 2);
}

TEST(AtomicFile, WithoutCommitNothingIsLeftBehind) {
  const TempFolder folder;
  const std::string path = folder.Write("a", "old");
  {
    auto atomic = AtomicFile::Create(path);
    ASSERT_TRUE(atomic.ok());
    ASSERT_TRUE(Put(*atomic, "half").ok());
    const AtomicFile moved = *std::move(atomic);  // only the last owner removes it
    EXPECT_EQ(folder.FileCount(), 2);
  }
  EXPECT_EQ(TempFolder::Read(path), "old");
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFile, WhoHasTheOldFileOpenKeepsIt) {
  const TempFolder folder;
  const std::string path = folder.Write("a", "old");
  const auto reader = File::Open(path, OpenMode::kRead);
  ASSERT_TRUE(reader.ok());
  ASSERT_TRUE(Replace(path, "").ok());
  std::byte buffer[3];
  EXPECT_EQ(*reader->ReadAt(0, buffer, 3), 3);
}

TEST(AtomicFile, PermissionsOfTheOldFileAreKept) {
  const TempFolder folder;
  const std::string path = folder.Write("a", "old");
  ASSERT_EQ(chmod(path.c_str(), 0640), 0);
  ASSERT_TRUE(Replace(path, "new").ok());
  EXPECT_EQ(ModeOf(path), 0640u);
}

TEST(AtomicFile, NewFilesFollowTheUmask) {
  const TempFolder folder;
  const mode_t old_mask = umask(027);
  const base::Status status = Replace(folder.Path("a"), "new");
  umask(old_mask);
  ASSERT_TRUE(status.ok());
  EXPECT_EQ(ModeOf(folder.Path("a")), 0640u);
}

TEST(AtomicFile, SymbolicLinkStaysALink) {
  const TempFolder folder;
  folder.Write("real", "old");
  ASSERT_EQ(symlink("real", folder.Path("link").c_str()), 0);
  ASSERT_TRUE(Replace(folder.Path("link"), "new").ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder.Path("link")));
  EXPECT_EQ(TempFolder::Read(folder.Path("real")), "new");
}

TEST(AtomicFile, LongestNameAndRelativePathWork) {
  const TempFolder folder;
  const std::string longest(255, 'n');
  EXPECT_TRUE(Replace(folder.Path(longest), "new").ok());
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  const base::Status status = Replace("plain", "new");
  std::filesystem::current_path(before);
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(TempFolder::Read(folder.Path("plain")), "new");
}

TEST(AtomicFile, DirectoryFifoAndMissingFolderAreRefused) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo(folder.Path("fifo").c_str(), 0600), 0);
  EXPECT_EQ(AtomicFile::Create(folder.path()).status().os_error(), EISDIR);
  EXPECT_EQ(AtomicFile::Create(folder.Path("fifo")).status().os_error(), EINVAL);
  const auto missing = AtomicFile::Create(folder.Path("no/a"));
  EXPECT_EQ(missing.status().os_error(), ENOENT);
  EXPECT_EQ(missing.status().path(), folder.Path("no/a"));
  EXPECT_EQ(folder.FileCount(), 1);
}

TEST(AtomicFile, FullDiskKeepsTheOldFile) {
  const TinyDisk disk("64k");
  if (!disk.ok()) GTEST_SKIP() << "a small file system can only be mounted by root";
  const std::string path = disk.folder().Write("a", "old");
  const base::Status status = Replace(path, std::string(200000, 'x'));
  EXPECT_EQ(status.os_error(), ENOSPC);
  EXPECT_EQ(status.path(), path);
  EXPECT_EQ(TempFolder::Read(path), "old");
  EXPECT_EQ(disk.folder().FileCount(), 1);
}

}  // namespace
}  // namespace spanflow::platform
