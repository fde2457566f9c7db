"""How the page of a report looks; colours of the dashboard, told apart without colour by dashes."""

from typing import Final

STYLE: Final = """
:root{--paper:#fff;--card:#f7f8fa;--ink:#1c2330;--soft:#5c6675;--line:#dfe3ea;--good:#0b7a4b;--calm:#2563b0;--middle:#8a63b8;
--loud:#b4540a;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--paper:#11151b;--card:#191f28;--ink:#e6eaf0;--soft:#9aa5b4;--line:#2c3542;
--good:#4cc38a;--calm:#6ea8f7;--middle:#b99aea;--loud:#f0a060;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1120px;margin:0 auto;padding:32px 20px 48px}
header .kind{margin:0;color:var(--soft);text-transform:uppercase;letter-spacing:.08em;font-size:12px}
header p{margin:2px 0 0;color:var(--soft)}
h1{margin:2px 0;font-size:26px;font-weight:650}h1 span{color:var(--soft);font-weight:400}
h2{margin:0 0 12px;font-size:20px}h3{margin:24px 0 8px;font-size:15px}
section{margin-top:28px;padding-top:24px;border-top:1px solid var(--line)}
header+section{border:0;padding:0}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px}
th{color:var(--soft);font-weight:500;text-align:left;font-size:12px}
th,td{padding:6px 12px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;white-space:nowrap}
td:last-child{white-space:normal}
.n+td:not(.n),.n+th:not(.n){padding-left:14px}
.n{text-align:right;font-variant-numeric:tabular-nums}
.problem{color:var(--bad);font-weight:600}.problem small{display:block;color:var(--soft);font-weight:400}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:10px;margin:0}
dl div{display:flex;flex-direction:column-reverse;background:var(--card);border-radius:8px;padding:12px 14px}
dd{margin:0;font-size:22px;font-weight:650;font-variant-numeric:tabular-nums}dt{color:var(--soft);font-size:12px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(480px,100%),1fr));gap:16px;margin-top:16px}
figure{margin:0;background:var(--card);border-radius:8px;padding:12px 14px}
figcaption{font-size:13px;color:var(--soft);margin-bottom:6px;display:flex;gap:14px}
figcaption span::before{content:"";display:inline-block;width:18px;margin-right:6px;vertical-align:middle;border-top:2px solid}
figcaption .calm::before{border-color:var(--calm)}
figcaption .middle::before{border-color:var(--middle);border-top-style:dashed}
figcaption .loud::before{border-color:var(--loud);border-top-style:dotted}
svg{width:100%;height:auto;display:block}
.line{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}
.line.good{stroke:var(--good)}.line.calm{stroke:var(--calm)}
.line.middle{stroke:var(--middle);stroke-dasharray:6 3}.line.loud{stroke:var(--loud);stroke-dasharray:1.5 3.5}
.hatch{stroke:var(--soft);stroke-width:1.6;opacity:.45}.level{stroke:var(--line)}
.axis{fill:var(--soft);font-size:11px}.end{text-anchor:end}.middle{text-anchor:middle}
ul{margin:0;padding-left:20px;font-size:14px}
footer{margin-top:36px;color:var(--soft);font-size:13px}
@media print{main{max-width:none;padding:0}section{break-inside:avoid}}
"""
