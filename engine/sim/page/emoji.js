// emoji.js knows the emoji that a reader of test messages is likely to meet.

const table = "+1 👍 -1 👎 thumbsup 👍 thumbsdown 👎 white_check_mark ✅ heavy_check_mark ✔️ x ❌ eyes 👀 tada 🎉 rocket 🚀 fire 🔥 " +
  "heart ❤️ smile 😄 smiley 😃 grinning 😀 joy 😂 laughing 😆 wink 😉 blush 😊 thinking_face 🤔 cry 😢 sob 😭 scream 😱 sunglasses 😎 " +
  "wave 👋 clap 👏 pray 🙏 muscle 💪 ok_hand 👌 raised_hands 🙌 point_right 👉 point_left 👈 warning ⚠️ rotating_light 🚨 no_entry ⛔ " +
  "question ❓ exclamation ❗ bulb 💡 bug 🐛 hammer 🔨 wrench 🔧 gear ⚙️ lock 🔒 unlock 🔓 key 🔑 mag 🔍 link 🔗 memo 📝 book 📖 calendar 📅 " +
  "clock1 🕐 hourglass ⌛ alarm_clock ⏰ bell 🔔 mega 📣 speech_balloon 💬 email 📧 package 📦 ship 🚢 checkered_flag 🏁 star ⭐ sparkles ✨ zap ⚡ " +
  "sunny ☀️ cloud ☁️ rainbow 🌈 snowflake ❄️ coffee ☕ pizza 🍕 beer 🍺 beers 🍻 cake 🍰 robot_face 🤖 ghost 👻 cat 🐱 dog 🐶 bird 🐦 100 💯 " +
  "one 1️⃣ two 2️⃣ three 3️⃣ red_circle 🔴 large_green_circle 🟢 large_yellow_circle 🟡 large_blue_circle 🔵 arrow_up ⬆️ arrow_down ⬇️ " +
  "arrow_right ➡️ arrow_left ⬅️ recycle ♻️ heavy_plus_sign ➕ heavy_minus_sign ➖ skull 💀 poop 💩 boom 💥 chart_with_upwards_trend 📈 " +
  "chart_with_downwards_trend 📉 computer 💻 phone 📞 globe_with_meridians 🌐 construction 🚧 stop_sign 🛑 traffic_light 🚦 medal 🏅 trophy 🏆 " +
  "crossed_fingers 🤞 facepalm 🤦 shrug 🤷 slightly_smiling_face 🙂 upside_down_face 🙃 neutral_face 😐 rage 😡 dizzy 💫 inbox_tray 📥 outbox_tray 📤";

const words = table.split(" ");
export const emoji = new Map();
for (let i = 0; i < words.length; i += 2) emoji.set(words[i], words[i + 1]);

export const common = ["+1", "white_check_mark", "eyes", "tada", "rocket", "heart", "x", "joy"];

// glyph is the character of a name, or :name: if it is unknown.
export function glyph(name, custom = {}) {
  const alias = custom[name]?.startsWith("alias:") ? custom[name].slice(6) : name;
  return emoji.get(alias.split("::")[0]) || ":" + name + ":";
}
