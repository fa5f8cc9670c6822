/** The tab to draw in. */
export async function mount(root, page) {
  const heading = document.createElement("h1");
  heading.textContent = page.words.heading;
  root.append(heading);
}
