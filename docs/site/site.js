// What scrolls can be scrolled by keyboard; captions at the side are headings of the second level.
document.addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("pre, .table-wrapper")) {
    if (block.scrollWidth > block.clientWidth) block.tabIndex = 0;
  }
  for (const caption of document.querySelectorAll('.caption[role="heading"]')) {
    caption.ariaLevel = "2";
  }
});
