"""The style sheet of the report: system fonts, no external resource; screen, phone and print."""

from __future__ import annotations

from homevisit_eval.table import TABLE_STYLE

__all__ = ["STYLE"]

PAGE = """
:root{--ink:#1b2430;--muted:#566170;--line:#d9dee4;--soft:#f4f6f8;--accent:#0b4f82;
--good:#0072b2;--bad:#b34a00;--note:#fff4db;--note-line:#d08a00;--paper:#fff;
color-scheme:light}
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.55 system-ui,-apple-system,
"Segoe UI",Roboto,"Helvetica Neue",Arial,"Noto Sans",sans-serif}
.page{max-width:76rem;margin:0 auto;padding:0 1.25rem 4rem}
p,ul,ol,dl{max-width:70ch}
h1{font-size:clamp(1.6rem,1.2rem + 1.9vw,2.5rem);line-height:1.15;letter-spacing:-.015em;
margin:.2rem 0 .6rem;max-width:24ch;text-wrap:balance}
h2{font-size:1.5rem;line-height:1.25;letter-spacing:-.01em;margin:0 0 .7rem}
h3{font-size:1.1rem;margin:1.8rem 0 .4rem}
a{color:var(--accent)}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:3px solid #f0b429;
outline-offset:2px}
.skip{position:absolute;left:-999px}.skip:focus{left:1rem;top:1rem;background:#fff;padding:.5rem}
header{padding:2.4rem 0 1.2rem}
.kicker{color:var(--muted);font-size:.95rem;margin:0}
.lead{font-size:1.12rem;color:var(--ink)}
.banner{background:var(--note);border-left:6px solid var(--note-line);padding:.8rem 1rem;
margin:1.2rem 0 0;max-width:none}
.banner.missing{background:var(--soft);border-left-color:var(--muted)}
.banner.missing ul{margin:.3rem 0 0;padding-left:1.2rem}
.banner strong{display:block;font-size:1.05rem}
nav{border-top:1px solid var(--line);border-bottom:1px solid var(--line);padding:.8rem 0;
font-size:.95rem}
nav ol{list-style:none;display:flex;flex-wrap:wrap;gap:.35rem 1.3rem;margin:0;padding:0;
max-width:none}
nav a{text-decoration:none;display:inline-block;padding:.15rem 0}
nav a:hover{text-decoration:underline}
section{padding:2.4rem 0 .6rem;border-bottom:1px solid var(--line)}
section:last-of-type{border-bottom:0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,16rem),1fr));gap:1.1rem;
margin:1.4rem 0 1.8rem}
.card{border:1px solid var(--line);border-top:4px solid var(--muted);border-radius:4px;
padding:1rem 1.1rem 1.1rem;background:var(--paper)}
.card.flagged{border-style:dashed}
.card.good{border-top-color:var(--good)}.card.bad{border-top-color:var(--bad)}
.card h3{margin:0;font-size:1.05rem}
.card .asked{margin:.1rem 0 .3rem;font-size:.85rem;color:var(--muted)}
.card .big{font-size:2.1rem;font-weight:650;letter-spacing:-.02em;line-height:1.15;
margin:.45rem 0 .1rem;font-variant-numeric:tabular-nums lining-nums}
.card .big small{font-size:1rem;font-weight:500;letter-spacing:0;color:var(--muted)}
.card .verdict{font-size:.92rem;font-weight:600;color:var(--muted);margin:0 0 .7rem}
.card.good .verdict{color:var(--good)}.card.bad .verdict{color:var(--bad)}
.card dl{display:grid;grid-template-columns:1fr 1fr;gap:.1rem 1rem;margin:0 0 .7rem;
font-variant-numeric:tabular-nums lining-nums}
.card dt{font-size:.85rem;color:var(--muted);grid-row:1}.card dd{margin:0;grid-row:2;
font-size:1.15rem;font-weight:600}
.card p:last-child{margin:0;font-size:.95rem}
.scroll{overflow-x:auto;margin:1.2rem 0;-webkit-overflow-scrolling:touch;max-width:100%;
background:linear-gradient(to right,var(--paper) 40%,transparent) left/2.5rem 100% no-repeat local,
linear-gradient(to left,var(--paper) 40%,transparent) right/2.5rem 100% no-repeat local,
linear-gradient(to right,#0002,transparent) left/1rem 100% no-repeat scroll,
linear-gradient(to left,#0002,transparent) right/1rem 100% no-repeat scroll}
.with-figure{display:grid;grid-template-columns:minmax(0,1fr);gap:0 2.5rem}
figure{margin:1.4rem 0;max-width:30rem}
figure svg{width:100%;height:auto;display:block}
figure svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,
sans-serif!important}
figcaption{font-size:.92rem;color:var(--muted);margin-top:.5rem}
figcaption strong{color:var(--ink)}
details{border:1px solid var(--line);border-radius:4px;margin:1rem 0;padding:0 1rem}
summary{cursor:pointer;padding:.7rem 0;font-weight:600}
details[open]{padding-bottom:.6rem}
dl.terms dt{font-weight:600;margin-top:.7rem}dl.terms dd{margin:0}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:.9em;
overflow-wrap:anywhere}
footer{color:var(--muted);font-size:.9rem;padding-top:1.5rem}
.hv-table{font-size:.93rem;min-width:min(100%,22rem)}
.hv-table caption{font-size:1rem}
.hv-table .hv-name{color:var(--muted)}
.hv-table .hv-population{color:var(--muted);font-size:.9rem}
.hv-table .hv-synthetic{color:#8a5a00}
.hv-table thead th{border-bottom:2px solid var(--ink);font-size:.86rem;max-width:11rem}
.hv-table thead th[scope=colgroup]{border-bottom:1px solid var(--line)}
.hv-table tbody th,.hv-table tbody td{border-bottom:1px solid var(--line)}
.hv-table tbody th{min-width:9rem;max-width:26rem;background:var(--paper)}
.hv-table td:not(.hv-num){max-width:44rem;min-width:6rem}
.hv-table .hv-section th{padding-top:1.1em;font-weight:650;color:var(--accent);max-width:none}
.hv-table .hv-detail td{color:var(--muted);padding-top:.2em;max-width:none}
.hv-table tbody tr:has(+ .hv-detail) > *{border-bottom:0}
.hv-table tfoot td{color:var(--muted);max-width:none}
.hv-table tfoot tr:first-child td{padding-top:.8em}
.sticky .hv-table tbody th[scope=row]{position:sticky;left:0}
.hv-table tfoot td,.hv-table .hv-detail td,.hv-table caption{overflow-wrap:anywhere}
.hv-stay{display:inline-block;max-width:min(86ch,calc(100vw - 3.2rem));position:sticky;left:0;
white-space:normal}
@media screen and (min-width:40.01rem){
.sticky .hv-table{width:max-content}
.sticky .hv-table tbody th[scope=row]{max-width:14rem}
.sticky .hv-table tbody tr:not(.hv-detail)>td:not(.hv-num){max-width:12rem}}
@media (min-width:62rem){
.with-figure{grid-template-columns:minmax(0,30rem) minmax(0,1fr);align-items:start}
.with-figure figure{margin-top:.6rem}}
@media (max-width:40rem){
.page{padding:0 1rem 3rem}section{padding-top:1.8rem}.hv-table th,.hv-table td{padding:.35em .5em}
.hv-table tbody th{min-width:7.5rem;max-width:11rem}
.hv-table td:not(.hv-num){min-width:11rem}
nav ol{flex-direction:column;gap:.1rem}nav a{padding:.3rem 0}}
"""

PRINT = """
@page{size:letter;margin:16mm 15mm}
@page wide{size:letter landscape;margin:12mm}
@media print{
body{font-size:10pt;line-height:1.4}.page{max-width:none;padding:0}
header{padding-top:0}nav,.skip{display:none}
section{padding:1rem 0 .4rem;border-bottom:0;break-before:auto}
h2,h3,caption{break-after:avoid}h2{border-bottom:1px solid var(--line);padding-bottom:.2rem}
.card,figure,tr{break-inside:avoid}thead{display:table-header-group}
tfoot{display:table-row-group}
.cards{grid-template-columns:1fr 1fr;gap:.7rem}
.scroll{overflow:visible;background:none}.hv-table{font-size:8.2pt;width:100%}
.hv-table th,.hv-table td{padding:.2em .35em}
.hv-table tbody th{min-width:26mm}.hv-table td:not(.hv-num){min-width:0}
.hv-table thead th{font-size:7.6pt}.hv-stay{display:block;max-width:none;position:static}
#results,.wide{page:wide}.wide .hv-table{font-size:6.4pt}.wide .hv-table thead th{font-size:6pt}
.wide .hv-table th,.wide .hv-table td{padding:.15em .22em}.wide .hv-num{white-space:normal}
figure{max-width:9cm}.with-figure{display:block}
details{padding:0 .5rem;margin:.4rem 0}details>summary{padding:.2rem 0}
a{color:inherit;text-decoration:none}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
"""

STYLE = TABLE_STYLE + PAGE + PRINT
