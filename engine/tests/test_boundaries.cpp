// SPDX-License-Identifier: Apache-2.0
// Every operator at the limits of its attributes and sizes, and one past each: what is allowed is made, prepared and,
// where it is small, run; the rest is refused with one line of ours. Sanitizers watch. A row of the registry that has
// no boundaries here fails a test.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/test/unit_test.hpp>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "op_fixture.h"

using namespace fewbins;
using fewbins::testing::OneOp;

namespace {

constexpr int64_t k20 = int64_t{1} << 20;
constexpr int64_t k62 = int64_t{1} << 62;
constexpr int64_t k64Most = INT64_MAX;

enum class End : uint8_t { refused_node, refused_sizes, fits };

std::ostream& operator<<(std::ostream& out, End end) {
  return out << (end == End::fits ? "fits" : end == End::refused_node ? "refused node" : "refused sizes");
}

// How far a node of these operands and sizes gets.
End end_of(const OneOp& one, const std::vector<Dims>& dims, std::string& text) {
  constexpr int64_t kSmall = 1 << 16;  // elements that are worth running
  std::unique_ptr<Op> op;
  try {
    op = one.make();
  } catch (const Error& error) {
    text = error.what();
    BOOST_TEST((error.code() == ErrorCode::model_file || error.code() == ErrorCode::shape), text);
    BOOST_TEST(text.find('\n') == std::string::npos, text);
    return End::refused_node;
  }
  try {
    const std::vector<TensorDesc> results = one.infer_all(*op, dims);
    const Dims out = results[0].dims;
    if (!out.within_limits() || out.count() == 0) {  // as the plan does
      text = "the plan refuses " + out.text();
      return End::refused_sizes;
    }
    Size elements = out.count();
    for (const Dims& in : dims) elements = std::max(elements, in.count());
    std::vector<TensorDesc> in = one.describe_inputs(dims);
    if (elements > kSmall * 256) return End::fits;
    const std::unique_ptr<OpState> state = one.prepare(*op, in, results);
    if (elements > kSmall || state->macs > k20 || state->scratch_bytes > k20) return End::fits;
    std::vector<AlignedBytes> zeros;
    std::vector<const void*> operands;
    for (const TensorDesc& desc : in) operands.push_back(zeros.emplace_back(desc.bytes()).data());
    static_cast<void>(one.run<uint8_t>(dims, operands, Isa::scalar, 2));
    return End::fits;
  } catch (const Error& error) {
    text = error.what();
    BOOST_TEST((error.code() == ErrorCode::shape), text);
    BOOST_TEST(text.find('\n') == std::string::npos, text);
    return End::refused_sizes;
  }
}

struct Trial {
  OneOp one;
  std::vector<Dims> dims;
  End end;
};

// Puts together the trials of one operator.
class Trials {
 public:
  using Make = std::function<OneOp(const std::string& attrs)>;
  // `attrs`: an example that fits; dims that fit it.
  Trials(std::string attrs, std::vector<Dims> dims, Make make)
      : attrs_(std::move(attrs)), dims_(std::move(dims)), make_(std::move(make)) {
    add(End::fits, {}, {}, dims_);
  }

  // The example with attribute `key` set to `value`; other dims where given.
  Trials& add(End end, const std::string& key, const std::string& value, std::vector<Dims> dims = {}) {
    trials.push_back({make_(with(key, value)), dims.empty() ? dims_ : std::move(dims), end});
    return *this;
  }
  Trials& add(End end, OneOp one, std::vector<Dims> dims) {
    trials.push_back({std::move(one), std::move(dims), end});
    return *this;
  }
  // The example's attributes with every number in turn set to `value`.
  [[nodiscard]] std::deque<Trial> with_each_number(int64_t value) const {
    std::deque<Trial> result;
    const auto attrs = boost::json::parse(attrs_).as_object();
    for (const auto& [key, member] : attrs) {
      if (member.is_array())
        for (size_t i = 0; i < member.get_array().size(); ++i) {
          boost::json::object changed = attrs;
          changed[key].as_array()[i] = value;
          result.push_back({make_(boost::json::serialize(changed)), dims_, End::fits});
        }
      boost::json::object changed = attrs;
      changed[key] = value;
      if (member.is_int64()) result.push_back({make_(boost::json::serialize(changed)), dims_, End::fits});
    }
    return result;
  }

  std::deque<Trial> trials;  // a OneOp cannot be copied

 private:
  [[nodiscard]] std::string with(const std::string& key, const std::string& value) const {
    auto attrs = boost::json::parse(attrs_).as_object();
    if (!key.empty()) attrs[key] = boost::json::parse(value);
    return boost::json::serialize(attrs);
  }

  std::string attrs_;
  std::vector<Dims> dims_;
  Make make_;
};

std::string list(std::initializer_list<int64_t> numbers) {
  return boost::json::serialize(boost::json::array(numbers.begin(), numbers.end()));
}

// A float node without params.
Trials::Make plain(const char* op, size_t inputs = 1) {
  return [op, inputs](const std::string& attrs) {
    OneOp one(op, attrs.c_str());
    for (size_t i = 0; i < inputs; ++i) one.input(DType::f32);
    return one;
  };
}

// A float node with one float param of ones.
Trials::Make weighted(const char* op, const char* role, Dims dims) {
  return [op, role, dims](const std::string& attrs) {
    OneOp one(op, attrs.c_str());
    one.input(DType::f32).param<float>(role, DType::f32, dims, std::vector<float>(memory_size(dims.count()), 1.0F));
    return one;
  };
}

const char* const kConv = R"({"kernel":[1,1],"strides":[1,1],"pads":[0,0,0,0],"dilations":[1,1],"groups":1,
  "auto_pad":"explicit","clamp":null,"requantize":null})";
const char* const kPool = R"({"kernel":[2,2],"strides":[1,1],"pads":[0,0,0,0],"dilations":[1,1],"ceil_mode":false,
  "count_include_pad":false,"auto_pad":"explicit","requantize":null})";

Trials conv() {
  const auto of = [](Dims weight) { return weighted("Conv", "weight", weight); };
  const auto attrs = [](const char* key, const std::string& value) {
    auto object = boost::json::parse(kConv).as_object();
    object[key] = boost::json::parse(value);
    return object;
  };
  Trials t(kConv, {{1, 1, 3, 3}}, of({1, 1, 1, 1}));
  t.add(End::fits, of({1, 1, k20, 1})(serialize(attrs("kernel", list({k20, 1})))), {{1, 1, k20, 1}});
  t.add(End::refused_sizes, of({1, 1, k20, 1})(serialize(attrs("kernel", list({k20, 1})))), {{1, 1, k20 - 1, 1}});
  t.add(End::refused_node, of({1, 1, k20 + 1, 1})(serialize(attrs("kernel", list({k20 + 1, 1})))),
        {{1, 1, k20 + 1, 1}});
  t.add(End::refused_node, "kernel", "[0,1]").add(End::refused_node, "kernel", list({k64Most, 1}));
  t.add(End::fits, "strides", list({k20, k20})).add(End::refused_node, "strides", list({k20 + 1, 1}));
  t.add(End::refused_node, "strides", "[1,0]").add(End::refused_node, "strides", list({INT32_MAX, 1}));
  t.add(End::fits, "dilations", list({k20, k20})).add(End::refused_node, "dilations", list({1, k20 + 1}));
  t.add(End::refused_node, "dilations", "[0,1]");
  t.add(End::fits, "pads", list({k20, 0, k20, 0})).add(End::refused_node, "pads", list({k20 + 1, 0, 0, 0}));
  t.add(End::refused_node, "pads", "[0,0,0,-1]");
  t.add(End::refused_sizes, "pads", list({k20, k20, k20, k20}));  // 2^42 output pixels
  t.add(End::refused_node, "groups", "0").add(End::refused_node, "groups", "2");
  t.add(End::refused_node, "groups", "2147483647").add(End::refused_node, "groups", "2147483648");
  t.add(End::fits, "groups", "1", {{INT32_MAX, 1, 1, 1}}).add(End::refused_sizes, "groups", "1", {{1, 2, 3, 3}});
  // The window's span, with padding that fits any window: 2^31 - 1 rows at most.
  const auto spanning = [&](int64_t taps, int64_t dilation, int64_t across) {
    auto object = attrs("kernel", list({taps, across}));
    object["dilations"] = {dilation, 1};
    object["auto_pad"] = "same_upper";
    return of({1, 1, taps, across})(serialize(object));
  };
  t.add(End::fits, spanning(2048, k20, 1), {{1, 1, 3, 3}})
      .add(End::refused_sizes, spanning(2049, k20, 1), {{1, 1, 3, 3}});
  // The padded copy that few channels get: 2^31 - 1 elements at most. It would have (2047 * 2^20 + 3) x 4 here.
  t.add(End::refused_sizes, spanning(2048, k20, 2), {{1, 1, 3, 3}})
      .add(End::fits, spanning(2, 4096, 2), {{1, 1, 3, 3}});
  return t;
}

Trials conv_transpose() {
  const char* attrs = R"({"kernel":[2,2],"strides":[2,2],"pads":[0,0,0,0],"dilations":[1,1],"groups":1,
    "output_padding":[0,0],"clamp":null,"requantize":null})";
  Trials t(attrs, {{1, 1, 3, 3}}, weighted("ConvTranspose", "weight", {1, 1, 2, 2}));
  t.add(End::fits, "output_padding", "[1,1]").add(End::refused_node, "output_padding", "[2,0]");
  t.add(End::refused_node, "output_padding", "[-1,0]").add(End::refused_node, "output_padding", list({0, k64Most}));
  t.add(End::fits, "pads", "[2,2,3,3]").add(End::refused_sizes, "pads", "[3,0,3,0]");  // 6 rows: 1 left, none left
  t.add(End::refused_sizes, "pads", list({k20, 0, k20, 0})).add(End::refused_node, "pads", list({k20 + 1, 0, 0, 0}));
  t.add(End::fits, "dilations", list({k20, 1})).add(End::refused_node, "dilations", list({k20 + 1, 1}));
  t.add(End::refused_node, "dilations", "[1,0]");
  t.add(End::refused_node, "strides", "[0,1]").add(End::refused_node, "strides", list({k20 + 1, 1}));
  t.add(End::refused_node, "kernel", "[2,3]").add(End::refused_node, "kernel", "[0,2]");
  t.add(End::refused_node, "groups", "0").add(End::refused_node, "groups", "2");
  t.add(End::refused_node, "groups", "2147483648");
  t.add(End::refused_sizes, "groups", "1", {{1, 1, INT32_MAX, 1}});  // 2^32 - 2 rows
  t.add(End::refused_sizes, "groups", "1", {{1, 1, 16384, 32768}});  // 2^31 elements
  return t;
}

Trials pool(const char* op) {
  Trials t(kPool, {{1, 1, 3, 3}}, plain(op));
  t.add(End::fits, "kernel", list({k20, 1}), {{1, 1, k20, 1}});
  t.add(End::refused_sizes, "kernel", list({k20, 1}), {{1, 1, k20 - 1, 1}});
  t.add(End::refused_node, "kernel", list({k20 + 1, 1})).add(End::refused_node, "kernel", "[1,0]");
  t.add(End::fits, "dilations", list({k20, 1}), {{1, 1, k20 + 1, 2}});
  t.add(End::refused_sizes, "dilations", list({k20, 1}), {{1, 1, k20, 2}});
  t.add(End::refused_node, "dilations", list({k20 + 1, 1})).add(End::refused_node, "dilations", "[0,1]");
  t.add(End::fits, "strides", list({k20, k20})).add(End::refused_node, "strides", list({1, k20 + 1}));
  t.add(End::refused_node, "strides", "[0,1]");
  t.add(End::fits, "pads", "[1,1,1,1]").add(End::refused_node, "pads", "[2,0,0,0]");  // a window of padding alone
  t.add(End::refused_node, "pads", "[0,0,-1,0]");
  t.add(End::fits, "ceil_mode", "true", {{1, 1, 2, INT32_MAX}})
      .add(End::refused_sizes, "ceil_mode", "true", {{1, 1, 1, 2}});
  return t;
}

Trials pad() {
  Trials t(R"({"pads":[0,0],"mode":"constant","value":0.0})", {{1}}, plain("Pad"));
  t.add(End::fits, "pads", list({INT32_MAX - 1, 0})).add(End::refused_sizes, "pads", list({INT32_MAX, 0}));
  t.add(End::refused_node, "pads", list({int64_t{INT32_MAX} + 1, 0}))
      .add(End::refused_node, "pads", list({k64Most, 0}));
  t.add(End::refused_sizes, "pads", list({INT32_MAX, INT32_MAX}));
  t.add(End::fits, "pads", "[-1,0]", {{2}}).add(End::refused_sizes, "pads", "[-1,0]");
  t.add(End::refused_sizes, "pads", "[-2,2]").add(End::refused_sizes, "pads", list({-INT32_MAX, INT32_MAX}));
  t.add(End::refused_node, "pads", list({INT32_MIN, 0})).add(End::refused_node, "pads", list({INT64_MIN, 0}));
  t.add(End::refused_node, "pads", "[0]").add(End::refused_sizes, "pads", "[0,0]", {{1, 1}});
  const auto mode = [](const char* name, const char* pads) {
    return plain("Pad")(R"({"pads":)" + std::string(pads) + R"(,"mode":")" + name + R"(","value":0.0})");
  };
  t.add(End::fits, mode("reflect", "[3,3]"), {{4}}).add(End::refused_sizes, mode("reflect", "[4,0]"), {{4}});
  t.add(End::fits, mode("edge", "[-3,9]"), {{4}}).add(End::refused_sizes, mode("edge", "[-4,9]"), {{4}});
  return t;
}

Trials slice() {
  Trials t(R"({"starts":[0],"ends":[3],"axes":[0],"steps":[1]})", {{4}}, plain("Slice"));
  t.add(End::fits, "starts", list({-k62})).add(End::refused_node, "starts", list({-k62 - 1}));
  t.add(End::refused_sizes, "starts", list({k62})).add(End::refused_node, "starts", list({k62 + 1}));
  t.add(End::fits, "ends", list({k62})).add(End::refused_node, "ends", list({k64Most}));
  t.add(End::refused_sizes, "ends", list({-k62})).add(End::refused_node, "ends", list({INT64_MIN}));
  t.add(End::fits, "steps", list({k62})).add(End::refused_node, "steps", list({k62 + 1}));
  t.add(End::refused_sizes, "steps", list({-k62})).add(End::refused_node, "steps", "[0]");
  t.add(End::refused_sizes, "axes", "[1]").add(End::refused_sizes, "axes", "[7]");
  t.add(End::refused_node, "axes", "[8]").add(End::refused_node, "axes", "[-1]");
  t.add(End::fits, "steps", "[2147483646]", {{INT32_MAX}});
  return t;
}

Trials reshape() {
  Trials t(R"({"shape":[2,2],"axes":[],"divisors":[]})", {{4}}, plain("Reshape"));
  t.add(End::fits, "shape", list({INT32_MAX}), {{INT32_MAX}}).add(End::refused_node, "shape", "[2147483648]");
  t.add(End::fits, "shape", "[-1]").add(End::refused_node, "shape", "[-1,-1]").add(End::refused_node, "shape", "[-2]");
  t.add(End::refused_sizes, "shape", "[65536,65536,65536,65536,65536]");
  t.add(End::refused_sizes, "shape", "[-1,2147483647,2147483647,2147483647,2147483647]");
  t.add(End::fits, "shape", "[1,1,1,1,1,1,1,4]").add(End::refused_node, "shape", "[1,1,1,1,1,1,1,1,4]");
  t.add(End::fits, "shape", "[0]").add(End::refused_sizes, "shape", "[4,0]").add(End::refused_sizes, "shape", "[3]");
  // A size that is a factor of an input's axis, divided.
  const auto part = [](int64_t axis, int64_t factor, int64_t divisor) {
    return plain("Reshape")(R"({"shape":)" + list({factor}) + R"(,"axes":)" + list({axis}) + R"(,"divisors":)" +
                            list({divisor}) + "}");
  };
  t.add(End::fits, part(0, INT32_MAX, INT32_MAX), {{4}}).add(End::refused_sizes, part(0, INT32_MAX, 1), {{INT32_MAX}});
  t.add(End::refused_sizes, part(0, 1, 3), {{4}}).add(End::refused_sizes, part(7, 1, 1), {{4}});
  t.add(End::refused_node, part(8, 1, 1), {{4}}).add(End::refused_node, part(0, 1, 0), {{4}});
  t.add(End::refused_node, part(0, k64Most, 1), {{4}}).add(End::refused_node, part(0, 1, k64Most), {{4}});
  return t;
}

Trials reduce() {
  const char* attrs = R"({"function":"sum","axes":[0],"keepdims":false,"requantize":null})";
  Trials t(attrs, {{4, 2}}, plain("Reduce"));
  t.add(End::fits, "axes", "[0,1]").add(End::refused_sizes, "axes", "[2]").add(End::refused_sizes, "axes", "[7]");
  t.add(End::refused_node, "axes", "[8]").add(End::refused_node, "axes", "[-1]").add(End::refused_node, "axes", "[]");
  t.add(End::refused_node, "axes", "[1,1]").add(End::fits, "axes", "[0]", {{INT32_MAX}});
  // Sums of levels are int32: 255 * 8421504 = 2^31 - 128 fits, one more does not.
  const auto levels = [] {
    OneOp one("Reduce", R"({"function":"sum","axes":[0],"keepdims":true,
      "requantize":{"kind":"float","lo":-128,"hi":127,"negate_residual":false}})");
    one.input(DType::levels, {0.5F, 0, -128, 127}).output(DType::levels, {0.5F, 0, -128, 127});
    one.param<float>("multiplier", DType::f32, {1}, {0.01F});
    return one;
  };
  t.add(End::fits, levels(), {{8421504}}).add(End::refused_sizes, levels(), {{8421505}});
  return t;
}

Trials resize() {
  const char* attrs = R"({"mode":"nearest","sizes":[2,2],"scales":null,"coordinates":"half_pixel","nearest":"floor",
    "requantize":null,"places":"float32"})";
  Trials t(attrs, {{1, 1, 1, 1}}, plain("Resize"));
  t.add(End::fits, "sizes", list({INT32_MAX, 1})).add(End::refused_node, "sizes", "[2147483648,1]");
  t.add(End::refused_node, "sizes", "[0,1]").add(End::refused_node, "sizes", list({k64Most, 1}));
  t.add(End::refused_sizes, "sizes", "[65536,65536]");
  const auto scaled = [](const char* scales) {
    return plain("Resize")(R"({"mode":"linear","sizes":null,"scales":)" + std::string(scales) +
                           R"(,"coordinates":"align_corners","nearest":"floor","requantize":null,"places":"float32"})");
  };
  t.add(End::fits, scaled("[1073741824,1]"), {{1, 1, 1, 1}})
      .add(End::refused_sizes, scaled("[2147483648,1]"), {{1, 1, 1, 1}});
  t.add(End::refused_sizes, scaled("[1e300,1]"), {{1, 1, 1, 1}})
      .add(End::refused_sizes, scaled("[0.999,1]"), {{1, 1, 1, 1}});
  t.add(End::refused_node, scaled("[0,1]"), {{1, 1, 1, 1}}).add(End::refused_node, scaled("[-1,1]"), {{1, 1, 1, 1}});
  return t;
}

Trials blocks(const char* op, const char* attrs, Dims fits, Dims largest) {
  Trials t(attrs, {fits}, plain(op));
  t.add(End::fits, "block", "32768", {largest}).add(End::refused_node, "block", "32769", {largest});
  t.add(End::refused_node, "block", "0").add(End::refused_node, "block", "-1");
  t.add(End::refused_sizes, "block", "3").add(End::fits, "block", "1");
  return t;
}

Trials table() {
  const auto make = [](size_t entries, uint8_t entry) {
    OneOp one("Table", "{}");
    one.input(DType::levels, {0.5F, 0, -8, 7}).output(DType::levels, {0.5F, 0, -8, 7});
    one.param<uint8_t>("table", DType::u8, {static_cast<int64_t>(entries)}, std::vector<uint8_t>(entries, entry));
    return one;
  };
  Trials t("{}", {{2, 3}}, [make](const std::string&) { return make(256, 15); });
  t.add(End::refused_node, make(256, 16), {{2, 3}}).add(End::refused_node, make(255, 0), {{2, 3}});
  t.add(End::refused_node, make(257, 0), {{2, 3}}).add(End::refused_node, make(0, 0), {{2, 3}});
  return t;
}

Trials requantize() {
  const auto make = [](int64_t channels, int32_t lo) {
    const std::string attrs =
        R"({"requantize":{"kind":"float","lo":)" + std::to_string(lo) + R"(,"hi":7,"negate_residual":false}})";
    OneOp one("Requantize", attrs.c_str());
    one.input(DType::levels, {0.5F, 0, -8, 7}).output(DType::levels, {0.5F, 0, -8, 7});
    one.param<float>("multiplier", DType::f32, {channels}, std::vector<float>(static_cast<size_t>(channels), 0.5F));
    return one;
  };
  Trials t("{}", {{2, 3}}, [make](const std::string&) { return make(3, -8); });
  t.add(End::refused_sizes, make(4, -8), {{2, 3}}).add(End::refused_node, make(3, -9), {{2, 3}});
  t.add(End::refused_node, make(3, -129), {{2, 3}}).add(End::refused_node, make(3, 8), {{2, 3}});
  t.add(End::fits, make(65536, -8), {{1, 65536}}).add(End::refused_node, make(65537, -8), {{1, 65537}});
  return t;
}

// Operators that keep the shape: the plan's limits are theirs.
void add_size_limits(Trials& t) {
  const Dims most{INT32_MAX};
  const Dims over{INT32_MAX, 2};
  std::vector<Dims> at(t.trials.front().dims.size(), most);
  std::vector<Dims> past(t.trials.front().dims.size(), over);
  t.add(End::fits, {}, {}, at).add(End::refused_sizes, {}, {}, past);
}

// Inputs of these types and outputs of those.
Trials::Make typed(const char* op, std::vector<DType> inputs, DType output, std::optional<DType> second = {}) {
  return [op, inputs, output, second](const std::string& attrs) {
    OneOp one(op, attrs.c_str());
    for (const DType dtype : inputs) one.input(dtype);
    one.output(output);
    if (second) one.second_output(*second);
    return one;
  };
}

// What broadcasts two operands or three.
void add_broadcasts(Trials& t) {
  const Dims tall{65536, 1};
  std::vector<Dims> fits(t.trials.front().dims.size(), tall);
  fits.back() = {1, 32767};
  t.add(End::fits, {}, {}, fits);
  fits.back() = {1, 32768};
  t.add(End::refused_sizes, {}, {}, fits);
  fits.back() = {2, 1};
  t.add(End::refused_sizes, {}, {}, fits);
}

const std::map<std::string, std::function<Trials()>>& boundaries() {
  static const std::map<std::string, std::function<Trials()>> all = {
      {"ArgReduce",
       [] {
         Trials t(R"({"function":"max","axis":0,"keepdims":false,"last":true})", {{4, 2}},
                  typed("ArgReduce", {DType::f32}, DType::i64));
         t.add(End::refused_sizes, "axis", "2").add(End::refused_sizes, "axis", "7");
         t.add(End::refused_node, "axis", "8").add(End::refused_node, "axis", "-1");
         t.add(End::fits, {}, {}, {{INT32_MAX}}).add(End::fits, "axis", "1", {{1, INT32_MAX}});
         return t;
       }},
      {"AveragePool", [] { return pool("AveragePool"); }},
      {"Binary",
       [] {
         Trials t(R"({"function":"add","clamp":null,"requantize":null})", {{2, 3}, {3}}, plain("Binary", 2));
         t.add(End::fits, {}, {}, {{65536, 1}, {1, 32767}}).add(End::refused_sizes, {}, {}, {{65536, 1}, {1, 32768}});
         t.add(End::refused_sizes, {}, {}, {{2, 3}, {2}}).add(End::refused_node, "clamp", "[1,0]");
         add_size_limits(t);
         return t;
       }},
      {"Cast",
       [] {
         Trials t(R"({"to":"int64"})", {{2, 3}}, typed("Cast", {DType::f32}, DType::i64));
         add_size_limits(t);
         return t;
       }},
      {"Compare",
       [] {
         Trials t(R"({"function":"less"})", {{2, 3}, {3}}, typed("Compare", {DType::f32, DType::f32}, DType::b8));
         add_broadcasts(t);
         return t;
       }},
      {"Concat",
       [] {
         Trials t(R"({"axis":0})", {{2}, {3}}, plain("Concat", 2));
         t.add(End::fits, {}, {}, {{1 << 30}, {(1 << 30) - 1}}).add(End::refused_sizes, {}, {}, {{1 << 30}, {1 << 30}});
         t.add(End::refused_sizes, "axis", "1").add(End::refused_sizes, "axis", "7");
         t.add(End::refused_node, "axis", "8").add(End::refused_node, "axis", "-1");
         return t;
       }},
      {"Conv", conv},
      {"ConvTranspose", conv_transpose},
      {"DepthToSpace",
       [] { return blocks("DepthToSpace", R"({"block":2,"mode":"CRD"})", {1, 4, 1, 1}, {1, 1 << 30, 1, 1}); }},
      {"Dequantize",
       [] {
         Trials t("{}", {{2, 3}}, [](const std::string& attrs) {
           OneOp one("Dequantize", attrs.c_str());
           one.input(DType::levels, {0.5F, 0, -8, 7});
           return one;
         });
         add_size_limits(t);
         return t;
       }},
      {"Expand",
       [] {
         Trials t(R"({"factors":[2,3],"inputs":[-1,0],"axes":[0,0],"divisors":[1,3]})", {{3}}, plain("Expand"));
         t.add(End::fits, "factors", list({715827882, 3})).add(End::refused_sizes, "factors", list({715827883, 3}));
         t.add(End::refused_node, "factors", "[2147483648,3]").add(End::refused_node, "factors", "[0,3]");
         t.add(End::refused_sizes, "factors", "[2,2147483647]").add(End::refused_sizes, "factors", "[2,4]");
         t.add(End::refused_sizes, "divisors", "[1,2]").add(End::refused_node, "divisors", "[1,0]");
         t.add(End::refused_sizes, "axes", "[0,1]").add(End::refused_node, "axes", "[0,8]");
         t.add(End::refused_node, "inputs", "[-1,1]").add(End::refused_node, "inputs", "[-2,0]");
         return t;
       }},
      {"Gather",
       [] {
         Trials t(R"({"axis":0})", {{2, 3}, {4}}, typed("Gather", {DType::f32, DType::i64}, DType::f32));
         t.add(End::refused_sizes, "axis", "2").add(End::refused_sizes, "axis", "7");
         t.add(End::refused_node, "axis", "8").add(End::refused_node, "axis", "-1");
         t.add(End::fits, {}, {}, {{1}, {INT32_MAX}}).add(End::refused_sizes, {}, {}, {{1, 2}, {INT32_MAX}});
         t.add(End::fits, {}, {}, {{1, 1, 1, 1, 1}, {1, 1, 1, 1}});
         t.add(End::refused_sizes, {}, {}, {{1, 1, 1, 1, 1}, {1, 1, 1, 1, 1}});  // 9 axes
         return t;
       }},
      {"Gemm",
       [] {
         const auto of = [](Dims weight) { return weighted("Gemm", "weight", weight); };
         const char* attrs = R"({"clamp":null,"requantize":null})";
         Trials t(attrs, {{2, 3}}, of({2, 3}));
         t.add(End::fits, of({1, 1})(attrs), {{INT32_MAX, 1}})
             .add(End::refused_sizes, of({2, 1})(attrs), {{INT32_MAX, 1}});
         t.add(End::refused_sizes, {}, {}, {{2, 4}}).add(End::refused_node, of({0, 3})(attrs), {{2, 3}});
         t.add(End::refused_node, of({2, 0})(attrs), {{2, 0}}).add(End::refused_node, of({2, 3, 1})(attrs), {{2, 3}});
         return t;
       }},
      {"Logic",
       [] {
         Trials t(R"({"function":"and"})", {{2, 3}, {3}}, typed("Logic", {DType::b8, DType::b8}, DType::b8));
         add_broadcasts(t);
         return t;
       }},
      {"MatMul",
       [] {
         Trials t("{}", {{2, 3}, {3, 4}}, plain("MatMul", 2));
         t.add(End::fits, {}, {}, {{65536, 1}, {1, 32767}}).add(End::refused_sizes, {}, {}, {{65536, 1}, {1, 32768}});
         t.add(End::fits, {}, {}, {{1, INT32_MAX}, {INT32_MAX, 1}}).add(End::refused_sizes, {}, {}, {{2, 3}, {4, 3}});
         t.add(End::refused_sizes, {}, {}, {{3}, {3, 4}}).add(End::refused_sizes, {}, {}, {{2, 2, 3}, {3, 3, 4}});
         t.add(End::refused_sizes, {}, {}, {{65536, 1, 1, 1}, {1, 65536, 1, 1}});
         return t;
       }},
      {"MaxPool", [] { return pool("MaxPool"); }},
      {"Normalize",
       [] {
         Trials t(R"({"axes":[1,2],"groups":2,"epsilon":0.00001})", {{2, 4, 3}}, plain("Normalize"));
         t.add(End::fits, "groups", "4").add(End::refused_sizes, "groups", "3").add(End::refused_sizes, "groups", "8");
         t.add(End::refused_node, "groups", "0").add(End::refused_node, "groups", "9223372036854775807");
         t.add(End::refused_sizes, "groups", "2147483647").add(End::refused_node, "groups", "2147483648");
         t.add(End::refused_sizes, "axes", "[1,7]").add(End::refused_node, "axes", "[1,8]");
         t.add(End::refused_node, "axes", "[]").add(End::refused_node, "axes", "[2,1]");
         t.add(End::refused_node, "epsilon", "-1.0").add(End::fits, "epsilon", "0.0");
         t.add(End::fits, {}, {}, {{1, INT32_MAX - 1, 1}}).add(End::refused_sizes, {}, {}, {{2, INT32_MAX - 1, 1}});
         return t;
       }},
      {"PRelu",
       [] {
         const auto of = [](int64_t slopes) { return weighted("PRelu", "slope", {slopes}); };
         Trials t("{}", {{2, 3}}, of(3));
         t.add(End::refused_sizes, of(2)("{}"), {{2, 3}}).add(End::refused_sizes, of(3)("{}"), {{3}});
         t.add(End::refused_node, of(0)("{}"), {{2, 3}}).add(End::fits, of(1)("{}"), {{INT32_MAX}});
         return t;
       }},
      {"Pad", pad},
      {"Quantize",
       [] {
         const auto shifted = [](const std::string& attrs, int64_t offsets) {
           OneOp one("Quantize", attrs.c_str());
           one.input(DType::f32).output(DType::levels, {0.5F, 0, -8, 7});
           if (offsets > 0)
             one.param<float>("offset", DType::f32, {offsets}, std::vector<float>(static_cast<size_t>(offsets), 1.0F));
           return one;
         };
         Trials t(R"({"axis":1})", {{2, 3}}, [shifted](const std::string& attrs) { return shifted(attrs, 0); });
         t.add(End::fits, shifted(R"({"axis":1})", 3), {{2, 3}});
         t.add(End::refused_sizes, shifted(R"({"axis":1})", 2), {{2, 3}});
         t.add(End::refused_sizes, shifted(R"({"axis":7})", 3), {{2, 3}});
         t.add(End::refused_node, "axis", "8").add(End::refused_node, "axis", "-1");
         add_size_limits(t);
         return t;
       }},
      {"Range",
       [] {
         Trials t(R"({"factors":[2],"inputs":[0],"axes":[0],"divisors":[1],"start":0.0,"step":1.0})", {{3}},
                  plain("Range"));
         t.add(End::fits, {}, {}, {{1 << 23}}).add(End::refused_sizes, {}, {}, {{(1 << 23) + 1}});
         t.add(End::refused_sizes, "factors", "[2147483647]").add(End::refused_node, "factors", "[2147483648]");
         t.add(End::refused_node, "factors", "[]").add(End::refused_node, "factors", "[1,1]");
         t.add(End::refused_sizes, "divisors", "[4]").add(End::refused_node, "divisors", "[0]");
         t.add(End::refused_sizes, "axes", "[1]").add(End::refused_node, "axes", "[8]");
         t.add(End::refused_node, "inputs", "[1]").add(End::refused_node, "inputs", list({k64Most}));
         return t;
       }},
      {"Reduce", reduce},
      {"Requantize", requantize},
      {"Reshape", reshape},
      {"Resize", resize},
      {"Slice", slice},
      {"Softmax",
       [] {
         Trials t(R"({"axis":0})", {{2, 3}}, plain("Softmax"));
         t.add(End::refused_sizes, "axis", "2")
             .add(End::refused_node, "axis", "8")
             .add(End::refused_node, "axis", "-1");
         add_size_limits(t);
         return t;
       }},
      {"SpaceToDepth", [] { return blocks("SpaceToDepth", R"({"block":2})", {1, 1, 2, 2}, {1, 1, 32768, 32768}); }},
      {"Table", table},
      {"TopK",
       [] {
         Trials t(R"({"axis":0,"k":2,"largest":true})", {{4, 2}}, typed("TopK", {DType::f32}, DType::f32, DType::i64));
         t.add(End::fits, "k", "4").add(End::refused_sizes, "k", "5").add(End::refused_sizes, "k", "2147483647");
         t.add(End::refused_node, "k", "0").add(End::refused_node, "k", "2147483648");
         t.add(End::refused_node, "k", "9223372036854775807").add(End::fits, "k", "2147483647", {{INT32_MAX}});
         t.add(End::refused_sizes, "axis", "2")
             .add(End::refused_node, "axis", "8")
             .add(End::refused_node, "axis", "-1");
         return t;
       }},
      {"Transpose",
       [] {
         Trials t(R"({"perm":[1,0]})", {{2, 3}}, plain("Transpose"));
         t.add(End::fits, {}, {}, {{1, INT32_MAX}}).add(End::refused_sizes, {}, {}, {{2, 3, 1}});
         t.add(End::refused_node, "perm", "[0,2]").add(End::refused_node, "perm", "[1,-1]");
         t.add(End::fits, "perm", "[7,6,5,4,3,2,1,0]", {{1, 1, 1, 1, 1, 1, 2, 3}});
         t.add(End::refused_node, "perm", "[8,7,6,5,4,3,2,1,0]");
         return t;
       }},
      {"Unary",
       [] {
         Trials t(R"({"function":"relu","alpha":0.0,"beta":0.0,"lo":null,"hi":null})", {{2, 3}}, plain("Unary"));
         add_size_limits(t);
         return t;
       }},
      {"Where",
       [] {
         Trials t("{}", {{2, 3}, {3}, {1}}, typed("Where", {DType::b8, DType::f32, DType::f32}, DType::f32));
         add_broadcasts(t);
         return t;
       }},
  };
  return all;
}

}  // namespace

BOOST_AUTO_TEST_SUITE(boundaries_of_operators)

BOOST_AUTO_TEST_CASE(every_operator_of_the_registry_has_boundaries) {
  for (const std::string_view op : op_names())
    BOOST_TEST(boundaries().contains(std::string(op)), op << " has none: add them to boundaries() in this file");
  for (const auto& [op, make] : boundaries())
    BOOST_TEST((std::ranges::find(op_names(), op) != op_names().end()), op << " is no operator");
}

BOOST_AUTO_TEST_CASE(limits_are_allowed_and_one_past_them_is_refused) {
  for (const auto& [op, make] : boundaries()) {
    size_t number = 0;
    for (const Trial& trial : make().trials) {
      std::string text;
      const End end = end_of(trial.one, trial.dims, text);
      ++number;
      // With 32-bit addresses tensors have fewer elements, so the largest that fit elsewhere are refused.
      if (kMaxElements < kMaxDim && trial.end == End::fits && end == End::refused_sizes) continue;
      BOOST_TEST(end == trial.end, op << " trial " << number << " on " << trial.dims.front().text() << ": " << end
                                      << ", expected " << trial.end << "; " << text);
    }
  }
}

BOOST_AUTO_TEST_CASE(extreme_numbers_in_any_attribute_are_refused_or_fit) {
  for (const auto& [op, make] : boundaries()) {
    const Trials trials = make();
    for (const int64_t number :
         {INT64_MIN, int64_t{INT32_MIN} - 1, int64_t{INT32_MIN}, int64_t{-1}, int64_t{0}, int64_t{1}, k20 - 1, k20,
          k20 + 1, int64_t{INT32_MAX}, int64_t{INT32_MAX} + 1, int64_t{UINT32_MAX} + 1, k62, k64Most})
      for (const Trial& trial : trials.with_each_number(number)) {
        std::string text;
        static_cast<void>(end_of(trial.one, trial.dims, text));
      }
  }
}

BOOST_AUTO_TEST_CASE(extreme_sizes_are_refused_or_fit) {
  for (const auto& [op, make] : boundaries()) {
    const Trials trials = make();
    const Trial& good = trials.trials.front();
    for (size_t operand = 0; operand < good.dims.size(); ++operand)
      for (int axis = 0; axis < good.dims[operand].rank; ++axis)
        for (const int64_t size :
             {int64_t{1}, int64_t{2}, int64_t{65536}, int64_t{INT32_MAX} - 1, int64_t{INT32_MAX}}) {
          std::vector<Dims> dims = good.dims;
          dims[operand] = Dims{};
          dims[operand].rank = good.dims[operand].rank;
          for (int i = 0; i < dims[operand].rank; ++i) dims[operand][i] = i == axis ? Size(size) : Size(1);
          std::string text;
          static_cast<void>(end_of(good.one, dims, text));
          dims[operand] = good.dims[operand];
          dims[operand][axis] = size;
          if (dims[operand].within_limits()) static_cast<void>(end_of(good.one, dims, text));
        }
  }
}

BOOST_AUTO_TEST_SUITE_END()
