"""How the page looks: light and dark, on paper, on a telephone."""

from __future__ import annotations

__all__ = ["STYLE"]

STYLE = """
:root{--page:#f4f5f8;--card:#fff;--ink:#161a22;--soft:#586174;--line:#e1e5ec;--well:#f4f6f9;--red:#c02b47;
--amber:#a86200;
--green:#1b7f4d;--violet:#6d3fd4;--blue:#2a63c8;--teal:#0d7d84;--log:#10141b;--logink:#dfe5ee;
--logsoft:#8391a7;
--shadow:0 1px 2px rgba(20,28,45,.06),0 6px 20px rgba(20,28,45,.05)}
@media (prefers-color-scheme:dark){:root{--page:#0d1015;--card:#151a21;--ink:#e7ebf2;--soft:#97a3b6;
--line:#29313c;
--well:#1b212a;--red:#ff7286;--amber:#f0b355;--green:#54cc93;--violet:#b79bff;--blue:#74abff;
--teal:#54c8cf;--log:#090c10;
--shadow:0 0 0 1px #222a34}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",
Arial,sans-serif;font-variant-numeric:tabular-nums}
main{max-width:1080px;margin:0 auto;padding:28px 20px 8px}
article+article{margin-top:56px}
.matrix{margin:0 0 34px}
code,pre,.log,time,.stack{font-family:ui-monospace,"SFMono-Regular","Cascadia Mono",Menlo,Consolas,
"DejaVu Sans Mono",
"Liberation Mono",monospace;font-size:.88em}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
h1,h2,h3,h4,p,dl,dd,ul,ol{margin:0;padding:0}
h2{font-size:13px;font-weight:650;letter-spacing:.08em;text-transform:uppercase;color:var(--soft);
margin-bottom:14px}
h3{font-size:19px;line-height:1.3;font-weight:650;letter-spacing:-.01em;overflow-wrap:anywhere}
h4{font-size:13px;margin:16px 0 6px;color:var(--soft);font-weight:600;overflow-wrap:anywhere}
.card{background:var(--card);border-radius:14px;box-shadow:var(--shadow);padding:22px 24px;margin-top:18px}
.hint,.none{color:var(--soft);font-size:13.5px}
.card>.hint{margin:-8px 0 14px}
.matrix h2{margin-bottom:10px}
.v-passed{--v:var(--green)}.v-flaky{--v:var(--amber)}.v-leaked{--v:var(--violet)}
.v-failed,.v-stalled,.v-spinning,.v-timed-out,.v-not-started{--v:var(--red)}
.word{color:var(--v);font-weight:650}

.hero{display:grid;grid-template-columns:auto 1fr;gap:4px 22px;background:var(--card);border-radius:18px;
box-shadow:var(--shadow);padding:28px 28px 24px;position:relative;overflow:hidden}
.hero:before{content:"";position:absolute;inset:0;background:linear-gradient(115deg,var(--v),
transparent 58%);opacity:.13;
pointer-events:none}
.hero>*{position:relative;min-width:0}
.icon{width:64px;height:64px;border-radius:18px;background:var(--v);padding:9px;fill:none;
stroke:var(--card);stroke-width:3;
stroke-linecap:round;stroke-linejoin:round}
.hero .name{font-size:13px;color:var(--soft);font-weight:600;overflow-wrap:anywhere}
h1{font-size:40px;line-height:1.1;letter-spacing:-.025em;font-weight:750;color:var(--v)}
h1:first-letter{text-transform:uppercase}
.sentence{font-size:18px;margin-top:4px;overflow-wrap:anywhere}
.command{margin-top:12px;padding:9px 13px;background:var(--well);border-radius:9px;max-height:9.5em;
overflow:auto}
.command:before{content:"$ ";color:var(--soft)}
.hero dl{grid-column:1/-1;display:flex;flex-wrap:wrap;gap:12px 30px;margin-top:20px;padding-top:18px;
border-top:1px solid var(--line)}
dt{font-size:12px;color:var(--soft)}
dd{font-weight:600;overflow-wrap:anywhere}

.findings{margin-top:30px}
.findings h2{margin:0 0 -4px 4px}
.finding{display:grid;grid-template-columns:auto 1fr;gap:18px;border-left:4px solid var(--red)}
.finding>div{min-width:0}
.number{width:30px;height:30px;border-radius:50%;background:var(--red);color:var(--card);font-weight:700;
text-align:center;
line-height:30px}
.tags{display:flex;flex-wrap:wrap;gap:4px 12px;align-items:center;margin-top:3px;color:var(--soft);
font-size:13.5px}
.waits{display:flex;flex-wrap:wrap;align-items:center;gap:8px 10px;margin-top:14px}
.pill{background:var(--well);border:1px solid var(--line);border-radius:10px;padding:6px 12px;
overflow-wrap:anywhere;max-width:100%}
.pill small{display:block;color:var(--soft);font-size:11.5px;line-height:1.2}
.pill.goal{border-color:var(--red);border-style:dashed}
.to{display:flex;align-items:center;gap:10px;min-width:0;max-width:100%}
.to .pill{min-width:0}
.waits .arrow{color:var(--red);font-size:20px;font-weight:700}
.evidence{margin:14px 0 0;padding-left:18px;color:var(--ink);font-size:14px}
.evidence li{margin-top:3px;overflow-wrap:anywhere}
.evidence li::marker{color:var(--soft)}
.advice{margin-top:16px;padding:11px 14px;border-radius:10px;background:color-mix(in srgb,var(--green) 11%,
transparent);
overflow-wrap:anywhere}
.advice b{color:var(--green);margin-right:6px}
.left ul{padding-left:18px;overflow-wrap:anywhere}

.chip{display:inline-block;font-size:11.5px;line-height:18px;padding:0 8px;border-radius:9px;
background:var(--well);
color:var(--soft);white-space:nowrap;border:1px solid var(--line)}
.chip.warn,.chip.state-Z,.chip.state-D,.chip.state-T{color:var(--amber);border-color:var(--amber);
background:none}
.chip.one{color:var(--violet);border-color:var(--violet);background:none}
.chip.state-R{color:var(--green);border-color:var(--green);background:none}
.chip.accused{color:var(--card);background:var(--red);border-color:var(--red)}

.lanes{position:relative;padding:26px 0 26px}
.lane{position:relative;margin-bottom:12px}
.lane p{font-size:12.5px;color:var(--soft);line-height:18px;position:relative;z-index:2}
.lane p b{color:var(--ink);font-weight:600;margin-right:4px}
.lane svg{display:block;width:100%;height:64px;border-bottom:1px solid var(--line);overflow:visible}
.lane.output svg{height:58px}.lane.sockets svg,.lane.tree svg{height:40px}
.lane path{vector-effect:non-scaling-stroke}
.bars{fill:var(--teal);opacity:.75}
.ticks{fill:none;stroke:var(--teal);stroke-width:1.5}
.ticks.err{stroke:var(--amber)}
.area{fill:color-mix(in srgb,var(--blue) 26%,transparent);stroke:var(--blue);stroke-width:1.5}
.sockets .area{fill:color-mix(in srgb,var(--violet) 24%,transparent);stroke:var(--violet)}
.tree .area{fill:color-mix(in srgb,var(--soft) 16%,transparent);stroke:color-mix(in srgb,var(--soft) 50%,
transparent)}
.tree .inner{fill:color-mix(in srgb,var(--soft) 34%,transparent);stroke:var(--soft);stroke-width:1.5}
.grid{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 4;opacity:.55;fill:none}
.still{position:absolute;top:22px;bottom:26px;right:0;z-index:1;
background:repeating-linear-gradient(-45deg,color-mix(in srgb,var(--red) 13%,transparent) 0 5px,
transparent 5px 11px)}
.still.spin{background:repeating-linear-gradient(-45deg,color-mix(in srgb,var(--amber) 18%,
transparent) 0 5px,transparent 5px 11px)}
.still span{position:absolute;left:10px;right:8px;top:30px;color:var(--red);font-weight:650;font-size:14px;
line-height:1.25}
.still span{text-shadow:0 0 4px var(--card),0 0 4px var(--card),0 0 6px var(--card)}
.still.spin span{color:var(--amber)}
.still.broken{border-left:5px double var(--red)}
.mark{position:absolute;top:22px;bottom:26px;width:0;border-left:2px solid var(--m);margin-left:-1px;
z-index:2}
.mark.clock,.mark.autopsy{border-left-style:dashed}
.stop{--m:var(--red)}.clock{--m:var(--amber)}.autopsy{--m:var(--violet)}.end{--m:var(--ink)}
.flag{position:absolute;top:0;transform:translateX(-50%);background:var(--m);color:var(--card);
font-size:11.5px;
font-weight:700;line-height:19px;padding:0 6px;border-radius:5px;letter-spacing:.08em;z-index:3}
.flag.last{transform:translateX(-100%)}
.axis{position:absolute;left:0;right:0;bottom:4px;height:18px;font-size:11.5px;color:var(--soft)}
.axis span{position:absolute;transform:translateX(-50%);white-space:nowrap}
.axis span:first-child{transform:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:4px 22px;font-size:13.5px;margin-top:6px}
.legend b{display:inline-block;min-width:19px;text-align:center;background:var(--m);color:var(--card);
border-radius:5px;
font-size:11.5px;line-height:19px;margin-right:5px}
.legend .note{color:var(--soft)}

.timeline .tree{display:block}
.card>.tree{position:relative;padding-right:var(--gutter)}
.node{height:64px;padding:4px 0 4px var(--indent,0);position:relative}
.node[style*="--indent:0"]{padding-left:0}
.node:not([style*="--indent:0"]):not(.outside):before{content:"";position:absolute;left:calc(var(--indent,
0px) - 12px);
top:-12px;height:44px;width:11px;border:solid var(--line);border-width:0 0 2px 2px;
border-bottom-left-radius:7px}
.box{height:56px;border:1px solid var(--line);border-radius:11px;background:var(--well);padding:6px 13px;
overflow:hidden;
position:relative}
.guilty .box{border-color:var(--red);box-shadow:inset 3px 0 0 var(--red)}
.outside .box{border-style:dashed;background:none;color:var(--soft)}
.who{display:flex;gap:9px;align-items:center;white-space:nowrap}
.who code{overflow:hidden;text-overflow:ellipsis;min-width:3em}
.chips{display:flex;gap:5px;margin-left:auto;flex-shrink:0}
.does{display:flex;gap:10px;justify-content:space-between;font-size:13px;color:var(--soft);
white-space:nowrap}
.does>span:first-child{overflow:hidden;text-overflow:ellipsis}
.does .goal{flex-shrink:0;color:var(--blue);font-weight:600}
.arrows{position:absolute;right:0;top:0}
.arrow.plain,.arrow.ring{fill:none;stroke:var(--blue);stroke-width:2}
.arrow.ring{stroke:var(--red);stroke-width:2.5}
.head.plain{fill:var(--blue)}.head.ring{fill:var(--red)}
.knot{color:var(--red)}
.tree+.hint,.tree+.none{margin-top:8px}

.log{background:var(--log);color:var(--logink);border-radius:11px;padding:12px 0;overflow:hidden;
line-height:1.45}
.line{display:grid;grid-template-columns:84px 1fr;gap:14px;padding:0 16px}
.line time{color:var(--logsoft);text-align:right}
.line span{white-space:pre-wrap;overflow-wrap:anywhere;min-width:0}
.line.stderr span{color:#ffb27a}
.line i{color:#ffd27a;font-style:normal;margin-left:8px;font-size:.86em}
.gap{color:var(--logsoft);font-size:.92em;display:flex;gap:12px;align-items:center;
padding:5px 16px 5px 114px}
.gap:after{content:"";flex:1;border-top:1px dashed #38424f}
.gap.end{color:#ff8a9a}.gap.end:after{border-color:#7a3341}
.torn{margin-top:12px;padding:10px 14px;border-radius:10px;background:color-mix(in srgb,var(--amber) 13%,
transparent);
border-left:4px solid var(--amber)}

details{border-top:1px solid var(--line)}
.facts details:first-of-type{border-top:0}
summary{cursor:pointer;padding:10px 2px;font-weight:600}
summary:hover{color:var(--blue)}
summary small{font-weight:400;color:var(--soft);margin-left:6px}
details>*:not(summary){margin-bottom:14px}
details>ul{padding-left:20px;font-size:13.5px}
.facts{padding-top:14px;padding-bottom:8px}
.facts h2{margin:6px 0 8px}
.attempt{border:0;margin-top:24px}
.attempt>summary{font-size:18px;padding:6px 4px}
.scroll{overflow-x:auto}
table{border-collapse:collapse;font-size:13px;width:100%}
th{text-align:left;color:var(--soft);font-weight:600;white-space:nowrap}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child>*{border-bottom:0}
td{white-space:nowrap}
td.long,.pairs td,.matrix td{white-space:normal;overflow-wrap:anywhere;min-width:13em}
.matrix td{min-width:0}
.pairs th{width:9em}
.matrix table{font-size:14px}
.matrix h2{text-transform:none;letter-spacing:0;font-size:16px;color:var(--ink);overflow-wrap:anywhere}
.matrix a{font-weight:650}
a{color:var(--blue)}
.stack{list-style:none;background:var(--well);border-radius:9px;padding:9px 14px;overflow-wrap:anywhere}
.stack span{color:var(--soft)}
.stack .locals{color:var(--soft);padding-left:2em}
details pre{background:var(--well);border-radius:9px;padding:9px 14px}
footer{max-width:1080px;margin:0 auto;padding:14px 24px 34px;color:var(--soft);font-size:12.5px}

@media (max-width:640px){
main{padding:14px 12px 4px}
.card{padding:18px 16px}
.hero{padding:20px 18px;grid-template-columns:1fr}
.icon{width:48px;height:48px;border-radius:14px;margin-bottom:8px}
h1{font-size:32px}.sentence{font-size:16px}
.hero dl{gap:10px 22px}
.finding{grid-template-columns:1fr;gap:10px}
.waits,.to{flex-direction:column;align-items:stretch}
.waits .arrow{transform:rotate(90deg);align-self:center;line-height:1}
.line{grid-template-columns:58px 1fr;gap:10px;padding:0 12px}
.gap{padding-left:80px}
.node{padding-left:calc(var(--indent,0px)/2)}
.node:not([style*="--indent:0"]):not(.outside):before{left:calc(var(--indent,0px)/2 - 9px);width:8px}
.chips .chip:not(.accused):not(.one){display:none}
.does .goal{display:none}
.axis span:nth-child(even){display:none}
.still span{font-size:12.5px}
}
@media print{
:root{--page:#fff;--card:#fff;--ink:#000;--soft:#444;--line:#ccc;--well:#f5f5f5;--red:#b0203a;
--amber:#8a5200;--green:#146b3f;
--violet:#5a2fb8;--blue:#1d4fa8;--teal:#08656b;--log:#fff;--logink:#000;--logsoft:#555;
--shadow:0 0 0 1px #ccc}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}
main{padding:0;max-width:none}
.finding,.node,.lane,tr,.hero,.timeline{break-inside:avoid}
h2{break-after:avoid}
.log{border:1px solid #ccc}.line.stderr span{color:#8a3c00}.line i{color:#8a5200}
.gap.end{color:#b0203a}
details::details-content{content-visibility:visible;height:auto}
.scroll{overflow:visible}
}
""".strip()
