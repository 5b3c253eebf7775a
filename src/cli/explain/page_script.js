// Shows one stage at a time. Without a script the page shows all of them.
const buttons = [...document.querySelectorAll('.choices button')];

function choose(stage) {
  for (const button of buttons) {
    button.setAttribute('aria-pressed', String(button.dataset.stage === stage));
  }
  for (const panel of document.querySelectorAll('.panel')) {
    panel.hidden = panel.id !== `stage-${stage}`;
  }
  for (const span of document.querySelectorAll('.stages span')) {
    span.classList.toggle('chosen', span.dataset.stage === stage);
  }
}

for (const element of document.querySelectorAll('[data-stage]')) {
  element.addEventListener('click', () => choose(element.dataset.stage));
}

// The arrow keys go from stage to stage.
document.querySelector('.choices').addEventListener('keydown', (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const next = step && buttons[buttons.indexOf(document.activeElement) + step];
  if (!next) return;
  next.focus();
  choose(next.dataset.stage);
});

choose('execute');
