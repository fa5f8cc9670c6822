// Before the page is drawn: the colours that the reader chose, if any; else the system's.
try {
  const chosen = localStorage.getItem("neurona-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* storage is forbidden: the system's colours */ }
