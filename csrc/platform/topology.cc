#include "platform/topology.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

namespace spanflow::platform {
namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// A number at the start of the text, or `otherwise` ("max", an empty file).
int64_t NumberOr(const std::string& text, int64_t otherwise) {
  try {
    return std::stoll(text);
  } catch (const std::exception&) {
    return otherwise;
  }
}

// The folders of our control group from the innermost out to the root. Version 2 has one tree
// ("0::/a/b"); version 1 has one per controller ("4:cpu,cpuacct:/a/b").
std::vector<std::string> ControlGroups(const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool unified = names == ",,";
    if (!unified && names.find("," + controller + ",") == std::string::npos) continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    std::string group = line.substr(second + 1);
    while (group.size() > 1) {
      folders.push_back(root + group);
      group.resize(group.rfind('/'));
    }
    folders.push_back(root);
  }
  return folders;
}

int CoresByAffinity() {
  // The mask's size is not known beforehand on machines with more than 1,024 processors.
  for (int processors = CPU_SETSIZE; processors <= (1 << 20); processors *= 2) {
    const size_t bytes = CPU_ALLOC_SIZE(processors);
    std::vector<unsigned long> words(bytes / sizeof(unsigned long));
    auto* set = reinterpret_cast<cpu_set_t*>(words.data());
    if (sched_getaffinity(0, bytes, set) == 0) return CPU_COUNT_S(bytes, set);
  }
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

// The lowest "quota / period" of the groups that we are in.
double CoresByQuota() {
  double cores = 1e9;
  for (const std::string& folder : ControlGroups("cpu")) {
    const std::string both = FirstLine(folder + "/cpu.max");  // version 2: "200000 100000"
    int64_t quota = NumberOr(both, -1);
    const size_t space = both.find(' ');
    int64_t period = space == std::string::npos ? 0 : NumberOr(both.substr(space), 0);
    if (both.empty()) {
      quota = NumberOr(FirstLine(folder + "/cpu.cfs_quota_us"), -1);
      period = NumberOr(FirstLine(folder + "/cpu.cfs_period_us"), 0);
    }
    if (quota > 0 && period > 0) {
      cores = std::min(cores, static_cast<double>(quota) / static_cast<double>(period));
    }
  }
  return cores;
}

int64_t WithUnit(const std::string& text) {  // "32K", "8M"
  const int64_t number = NumberOr(text, 0);
  const char unit = text.empty() ? '\0' : text.back();
  return unit == 'K' ? number << 10 : unit == 'M' ? number << 20 : number;
}

int64_t FirstPositive(int64_t a, int64_t b, int64_t c) { return a > 0 ? a : b > 0 ? b : c; }

CacheSizes MeasureCaches() {
  int64_t l1 = 0, l2 = 0, last = 0;
  for (int index = 0; index < 8; ++index) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(index);
    const std::string type = FirstLine(folder + "/type");
    if (type.empty()) break;
    if (type == "Instruction") continue;
    const int64_t level = NumberOr(FirstLine(folder + "/level"), 0);
    const int64_t bytes = WithUnit(FirstLine(folder + "/size"));
    if (level == 1) l1 = bytes;
    if (level == 2) l2 = bytes;
    last = std::max(last, bytes);
  }
  CacheSizes caches;
  caches.l1_data = FirstPositive(l1, sysconf(_SC_LEVEL1_DCACHE_SIZE), 32 << 10);
  caches.l2 = FirstPositive(l2, sysconf(_SC_LEVEL2_CACHE_SIZE), 512 << 10);
  caches.last_level = FirstPositive(last, sysconf(_SC_LEVEL3_CACHE_SIZE), 8 << 20);
  return caches;
}

int64_t MeasureMemory() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  for (const std::string& folder : ControlGroups("memory")) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      const int64_t limit = NumberOr(FirstLine(folder + name), 0);
      if (limit > 0) bytes = std::min(bytes, limit);
    }
  }
  return bytes;
}

}  // namespace

int UsableCores() {
  static const int cores = [] {
    const double quota = std::ceil(CoresByQuota());
    return std::max(1, static_cast<int>(std::min<double>(CoresByAffinity(), quota)));
  }();
  return cores;
}

const CacheSizes& Caches() {
  static const CacheSizes caches = MeasureCaches();
  return caches;
}

int64_t UsableMemory() {
  static const int64_t bytes = MeasureMemory();
  return bytes;
}

int64_t AvailableMemory() {
  const std::string name = "MemAvailable:";
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.compare(0, name.size(), name) != 0) continue;
    return std::min(UsableMemory(), NumberOr(line.substr(name.size()), 0) * 1024);  // kB
  }
  return UsableMemory();
}

}  // namespace spanflow::platform
