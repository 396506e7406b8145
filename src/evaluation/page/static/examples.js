// Thumbnails of the examples in `props.value`; a click asks for one by its number.
const row = element.querySelector(".thumbnails");
for (const [number, example] of props.value.entries()) {
  const button = document.createElement("button"), image = document.createElement("img");
  button.type = "button";
  button.title = button.ariaLabel = `example ${example.id}`;
  image.src = example.photo;
  image.alt = "";
  button.append(image);
  button.onclick = () => trigger("pick", { number });
  row.append(button);
}
