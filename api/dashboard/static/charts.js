// Draws each chart of a page with ECharts, in the page's theme, and those that are live anew when there is news.
(() => {
  const charts = new Map();
  const root = document.documentElement;
  const theme = () =>
    (root.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark" ? "dark" : null;

  const draw = async (element) => {
    const answer = await fetch(element.dataset.chart, { headers: { accept: "application/json" } });
    if (!answer.ok) return;
    const options = await answer.json();
    const label = element.getAttribute("aria-label");
    const chart = charts.get(element) ?? echarts.init(element, theme(), { renderer: "svg" });
    charts.set(element, chart);
    chart.setOption(options, true); // not merged: the number of axes may differ from before
    element.setAttribute("aria-label", label);
  };

  const drawAnew = () => {
    for (const [element, chart] of charts) {
      chart.dispose();
      charts.delete(element);
      draw(element);
    }
  };

  let isDrawing = false, hasNews = false;
  const drawLive = async () => {
    hasNews = true;
    if (isDrawing) return;
    for (isDrawing = true; hasNews; ) {
      await new Promise((go) => setTimeout(go, 2000));
      hasNews = false;
      await Promise.allSettled([...document.querySelectorAll("[data-chart][data-live]")].map(draw));
    }
    isDrawing = false;
  };

  document.querySelectorAll("[data-chart]").forEach(draw);
  document.addEventListener("metrics", drawLive);
  document.addEventListener("tunery:theme", drawAnew);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);
  addEventListener("resize", () => charts.forEach((chart) => chart.resize()));
})();
