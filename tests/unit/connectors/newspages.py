"""Pages as news sites make them: the article, and all that stands around it."""

from __future__ import annotations

from typing import NamedTuple


class Story(NamedTuple):
    title: str
    summary: str
    paragraphs: tuple[str, ...]
    lang: str = "fr"


MOPTI = Story(
    "Attaque près de Mopti : douze civils tués sur la route de Sévaré",
    "Des hommes armés ont attaqué un convoi de commerçants près de Mopti, tuant douze "
    "civils.",
    (
        (
            "Douze civils ont été tués mardi matin lorsque des hommes armés ont attaqué un "
            "convoi de commerçants sur la route qui relie Mopti à Sévaré, ont indiqué des "
            "sources locales et le gouverneur de la région."
        ),
        (
            "Selon plusieurs témoins, les assaillants, arrivés à moto, ont ouvert le feu sur "
            "trois véhicules qui revenaient de la foire hebdomadaire. Deux camions ont été "
            "incendiés et une partie des marchandises a été emportée."
        ),
        (
            "« Nous avons entendu les tirs vers six heures, puis nous avons vu la fumée », a "
            "raconté Amadou Diallo, un habitant du village voisin. « Les blessés ont été "
            "transportés à l'hôpital Sominé Dolo. »"
        ),
        (
            "Le gouverneur, Abass Dembélé, a condamné « un acte lâche et barbare » et annoncé "
            "le renforcement des patrouilles sur cet axe, l'un des plus fréquentés du centre "
            "du pays."
        ),
        (
            "L'attaque n'a pas été revendiquée. Le centre du Mali est depuis 2015 le théâtre de "
            "violences menées par des groupes liés à Al-Qaïda et à l'État islamique."
        ),
    ),
)
FLOOD = Story(
    "Floods cut off three districts of Sokoto after river bursts its banks",
    "Thousands were displaced after the Rima river burst its banks in Sokoto state.",
    (
        (
            "At least nine people have died and more than four thousand were forced from "
            "their homes after the Rima river burst its banks on Sunday night, the state "
            "emergency agency said."
        ),
        (
            "Roads to Goronyo, Wurno and Kware were under water on Monday and trucks with "
            "relief supplies had to turn back, according to the agency's director, Nasir "
            "Garba."
        ),
        (
            'Residents spent the night on rooftops. "The water came while we were asleep; we '
            'lost the whole of our millet," said Hauwa Bello, a farmer and mother of five.'
        ),
        (
            "The agency has opened camps in two schools and asked the federal government for "
            "boats, tents and medicine. Health officials warned of cholera."
        ),
    ),
    "en",
)
MARKET = Story(
    "انفجار في سوق شعبي شرق الخرطوم يخلف سبعة قتلى",
    "قتل سبعة أشخاص وأصيب آخرون في انفجار بسوق شعبي شرق الخرطوم.",
    (
        (
            "قتل سبعة أشخاص على الأقل وأصيب عشرون آخرون في انفجار وقع صباح الأربعاء في سوق شعبي "
            "شرق العاصمة السودانية الخرطوم، بحسب ما أفاد به شهود عيان ومصادر طبية."
        ),
        (
            "وقال مسؤول في المستشفى إن معظم المصابين نقلوا في حالة حرجة، وإن فرق الإسعاف ما زالت "
            "تبحث عن ناجين تحت الأنقاض بعد ساعات من الانفجار."
        ),
        (
            "ولم تعلن أي جهة مسؤوليتها عن الحادث، فيما باشرت الشرطة تحقيقا في أسباب الانفجار "
            "وطلبت من السكان الابتعاد عن المكان."
        ),
    ),
    "ar",
)
STORIES = (MOPTI, FLOOD, MARKET)

NAV = "".join(
    f"<li class='menu-item'><a href='/{name.lower()}'>{name}</a></li>"
    for name in ("Accueil", "Politique", "Économie", "Sports", "Culture", "Vidéos")
)
RELATED = "".join(
    f"<li><a href='/n/{n}'>Le prix du sucre flambe encore au marché de Kati ({n})</a></li>"
    for n in range(12)
)
COMMENTS = "".join(
    f"<li class='comment' id='comment-{n}'><cite>Lecteur {n}</cite><p>Commentaire "
    f"numéro {n}: je ne suis pas d'accord avec tout cela, courage à tous.</p></li>"
    for n in range(5)
)
COOKIES = (
    "<div id='cookie-banner' class='cookie-consent' role='dialog'><p>We and our 843 "
    "partners store and access information on your device, such as cookies, to show "
    "personalised advertisements.</p><button>Accept all</button></div>"
)


def body_of(story: Story) -> str:
    return "".join(f"<p>{text}</p>" for text in story.paragraphs)


def wordpress(story: Story) -> str:
    """The commonest: nav, article, share buttons, related, comments, sidebar."""
    return f"""<!DOCTYPE html><html lang="{story.lang}"><head><meta charset="utf-8">
<title>{story.title} - Le Journal</title><style>.x{{color:red}}</style>
<script>var ads = "<p>advertisement of the day</p>";</script></head>
<body class="single single-post">{COOKIES}
<header class="site-header"><nav class="main-nav"><ul>{NAV}</ul></nav></header>
<main id="main"><article class="post type-post"><header class="entry-header">
<h1 class="entry-title">{story.title}</h1><div class="entry-meta">Publié le 24 novembre
par <a href="/a">La rédaction</a></div></header>
<div class="entry-content">{body_of(story)}
<div class="sharedaddy"><ul><li><a href="#">Facebook</a></li><li><a href="#">WhatsApp</a>
</li></ul></div></div>
<footer class="entry-footer">Mots-clés: <a href="/t">Actualité</a></footer></article>
<section id="comments" class="comments-area"><h2>5 commentaires</h2><ol>{COMMENTS}</ol>
</section></main><aside class="sidebar widget-area"><h3>À lire aussi</h3><ul>{RELATED}</ul>
</aside><footer class="site-footer">© 2026 Le Journal. Tous droits réservés.</footer>
</body></html>"""


def divs(story: Story) -> str:
    """No semantic element at all: tables and divs, text broken by line breaks."""
    text = "<br><br>".join(story.paragraphs)
    return f"""<html><head><meta http-equiv="Content-Type" content="text/html;
charset=utf-8"><title>{story.title}</title></head><body><div id="top"><div
class="menu"><ul>{NAV}</ul></div></div><div id="wrap"><div id="left"><div
class="box"><ul>{RELATED}</ul></div></div><div id="content"><div class="titre">
{story.title}</div><div class="texte">{text}</div><div class="box">Les plus lus
<ul>{RELATED}</ul></div></div></div><div id="bottom">Contact | Publicité</div>
</body></html>"""


def interleaved(story: Story) -> str:
    """An article with advertisements, figures and teasers between its paragraphs."""
    between = (
        "<div class='ad-slot'>Publicité</div>",
        "<figure><img src='x.jpg' alt='Photo'><figcaption>© AFP</figcaption></figure>",
        "<aside class='related'><a href='/n/3'>Lire aussi : Le prix du sucre</a></aside>",
    )
    text = "".join(
        f"<p>{text}</p>{between[n % len(between)]}"
        for n, text in enumerate(story.paragraphs)
    )
    return f"""<!doctype html><html lang={story.lang}><head><meta charset=utf-8>
<title>{story.title}</title></head><body><div class="skip">Skip to content</div>
<nav><ul>{NAV}</ul></nav><article itemscope itemtype="https://schema.org/NewsArticle">
<h1 itemprop=headline>{story.title}</h1><div itemprop=articleBody>{text}</div></article>
<div class="newsletter"><form><label>Recevez notre lettre</label><input></form></div>
<section class="most-read"><h2>Les plus lus</h2><ul>{RELATED}</ul></section>
{COOKIES}<footer><ul>{NAV}</ul></footer></body></html>"""


SHAPES = (wordpress, divs, interleaved)
CONSENT = """<!doctype html><html><head><title>Before you continue</title></head><body>
<div class="consent"><h1>Before you continue</h1><p>We use cookies and data to deliver and
maintain services, track outages and protect against spam, fraud and abuse, and to measure
audience engagement and site statistics.</p><p>If you choose to accept all, we will also
use cookies and data to develop new services, to deliver and measure the effectiveness of
advertisements and to show personalised content, depending on your settings.</p>
<button>Accept all</button><button>Reject all</button></div></body></html>"""


def paywall(story: Story) -> str:
    """The first paragraph, and what the rest would cost."""
    return f"""<!doctype html><html><head><meta charset="utf-8"><title>{story.title}</title>
<script type="application/ld+json">{{"@type": "NewsArticle",
"isAccessibleForFree": "False"}}</script></head><body><nav><ul>{NAV}</ul></nav>
<article><h1>{story.title}</h1><p>{story.paragraphs[0]}</p><div class="paywall"><p>Cet
article est réservé à nos abonnés. Il vous reste 78 % de cet article à lire.
Abonnez-vous pour lire la suite, à partir de 1 euro le premier mois, sans engagement.</p>
</div></article></body></html>"""
