// What the theme leaves out for those who read by keyboard or by ear: names for its search and its rows of buttons, and
// code and tables that can be scrolled without a mouse where they are wider than the screen.
const mend = () => {
  const search = document.querySelector(".md-search");
  search?.setAttribute("aria-label", search.querySelector("input").placeholder);
  document.querySelectorAll(".md-code__nav").forEach((buttons) => buttons.setAttribute("role", "presentation"));
  for (const box of document.querySelectorAll(".md-typeset__scrollwrap, .md-typeset pre > code")) {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
  }
};
mend();
addEventListener("load", mend);
addEventListener("resize", mend);
new MutationObserver(mend).observe(document.body, { childList: true, subtree: true });
